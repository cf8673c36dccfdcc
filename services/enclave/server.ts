/**
 * The server inside the enclave: takes connections from the host, attests itself to whoever is
 * behind them, and serves the calls of the sessions that come about.
 */
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

import { Health as HealthDescriptor } from "#gen/grpc/health/v1/health_pb.js";
import type { Policy, PolicyOptions } from "../../attestation/policy.ts";
import { paddedLength } from "../../channel/padding.ts";
import { formatAddress, parseAddress, requireVsockBuffer } from "../../transport/address.ts";
import { listen } from "../../transport/listen.ts";
import type { Listener } from "../../transport/listen.ts";
import { serviceDefinition } from "../grpc/service-definition.ts";
import { CallerPolicy } from "./caller-policy.ts";
import { Dispatcher } from "./dispatcher.ts";
import { EvidenceSource } from "./evidence-source.ts";
import type { Handlers } from "./handlers.ts";
import { Health } from "./health.ts";
import { enclaveLimits, requireMessageLimit, requirePeers } from "./limits.ts";
import type { EnclaveLimits } from "./limits.ts";
import { factsOf, stderrLogger } from "./logger.ts";
import type { EnclaveServerOptions } from "./options.ts";
import { OuterServer } from "./outer-server.ts";
import { ReflectedServices } from "./reflection.ts";
import { SessionHost } from "./session-host.ts";

const DEFAULT_RECEIVE_BYTES = 4 * 1024 * 1024;
const DEFAULT_GRACE_MS = 30_000;
/** A suite is left out only by choice. */
const ALL_SUITES = [1, 2] as const;

interface Running {
  readonly evidence: EvidenceSource;
  readonly sessions: SessionHost;
  readonly outer: OuterServer;
}

export class EnclaveServer {
  /** What `grpc.health.v1` says of each service; those that are added are SERVING. */
  readonly health: Health = new Health();
  readonly #options: EnclaveServerOptions;
  readonly #limits: EnclaveLimits;
  readonly #callers: CallerPolicy | undefined;
  readonly #dispatcher: Dispatcher;
  readonly #reflected = new ReflectedServices();
  readonly #listeners: Listener[] = [];
  #starting: Promise<Running> | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @throws RangeError for limits, padding, peers or a buffer that cannot be; TypeError or RangeError for a policy
   *   for callers that cannot be meant.
   */
  constructor(options: EnclaveServerOptions = {}) {
    this.#options = options;
    this.#dispatcher = new Dispatcher(options.rawHandler);
    this.#limits = enclaveLimits(options.limits);
    const { callers, maxReceiveMessageBytes = 0, maxSendMessageBytes = 0 } = options;
    requireMessageLimit("maxReceiveMessageBytes", maxReceiveMessageBytes);
    requireMessageLimit("maxSendMessageBytes", maxSendMessageBytes);
    requirePeers(options.vsockPeers);
    requireVsockBuffer(options.vsockBufferBytes);
    // Refuses a bucket that cannot be.
    paddedLength(options.padding ?? "none", 1);
    if (callers !== undefined) this.#callers = new CallerPolicy(callers);
  }

  /**
   * Adds a service: a protobuf-es descriptor or the definition that grpc-js's generators make, with
   * the handlers that grpc-js takes. Methods without a handler answer UNIMPLEMENTED.
   *
   * @throws TypeError for an empty service, for a path that was added before, and for a handler
   *   that is no function.
   */
  addService<Service extends DescService>(service: Service, handlers: Handlers<Service>): void;
  addService(service: ServiceDefinition, handlers: UntypedServiceImplementation): void;
  addService(service: DescService | ServiceDefinition, handlers: object): void {
    if (isDescriptor(service)) {
      this.#dispatcher.add(serviceDefinition(service), handlers);
      this.#reflected.addDescriptor(service);
      this.health.setStatus(service.typeName, "SERVING");
      return;
    }
    this.#dispatcher.add(service, handlers);
    this.#reflected.addDefinition(service);
    for (const { path } of Object.values(service)) {
      this.health.setStatus(path.split("/")[1] ?? "", "SERVING");
    }
  }

  /**
   * Listens on an address, in addition to those before, and gives the bound one.
   *
   * @throws TypeError for what is no address; TransportError `unreachable` when it cannot be bound;
   *   AttestationError `nsm-unavailable` where there is no device and no attester was given; Error
   *   when the enclave's randomness is not the module's, and once the server is shut down.
   */
  async listen(address: string): Promise<string> {
    const parsed = parseAddress(address);
    this.#requireOpen();
    this.#starting ??= this.#start();
    let running: Running;
    try {
      running = await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
    this.#requireOpen();
    const { vsockPeers, vsockBufferBytes } = this.#options;
    const listener = await listen(parsed, running.outer.accept, { vsockPeers, vsockBufferBytes });
    this.#listeners.push(listener);
    if (this.#closing !== undefined) await listener.close();
    return formatAddress(listener.address);
  }

  /**
   * Replaces the policy for callers, when a manifest that it was made of is followed by another for
   * instance. Sessions of callers whom the new one does not admit end at once.
   *
   * @throws TypeError when the server was made without one, and so does not ask its callers to attest;
   *   TypeError or RangeError for a policy that is none; the old one stays.
   */
  updateCallers(policy: Policy | PolicyOptions): void {
    const callers = this.#callers;
    if (callers === undefined) throw new TypeError("the server has no policy for callers");
    callers.replace(policy);
    void this.#started().then((running) => running?.sessions.reappraise(callers));
  }

  /**
   * Stops in order: NOT_SERVING, no new connections and sessions, then waits for the calls that
   * run, at the latest for `graceMs`, and ends the rest with UNAVAILABLE. Once; later calls wait
   * for the first.
   */
  shutdown(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    this.#closing ??= this.#stop(graceMs);
    return this.#closing;
  }

  /** Stops without grace; cuts short a shutdown that waits. */
  async close(): Promise<void> {
    if (this.#closing !== undefined) (await this.#started())?.sessions.cut();
    await this.shutdown(0);
  }

  async #start(): Promise<Running> {
    const { attester, logger = await stderrLogger(), ...options } = this.#options;
    const evidence = await EvidenceSource.open(attester, this.#callers);
    const hasHealth = this.#dispatcher.has("/grpc.health.v1.Health/Check");
    if (!hasHealth && options.rawHandler === undefined) {
      this.addService(HealthDescriptor, this.health.handlers);
    }
    if (options.reflection) {
      await this.#reflected.offer((service, handlers) => this.#dispatcher.add(service, handlers));
    }
    const sessions = new SessionHost({
      dispatcher: this.#dispatcher,
      evidence,
      limits: this.#limits,
      logger,
      suites: options.suites ?? ALL_SUITES,
      appInfo: options.appInfo ?? new Uint8Array(0),
      padding: options.padding ?? "padme",
      interceptors: options.interceptors ?? [],
      maxReceiveMessageBytes: options.maxReceiveMessageBytes ?? DEFAULT_RECEIVE_BYTES,
      maxSendMessageBytes: options.maxSendMessageBytes ?? -1,
      onHandlerError: (error, path) => {
        logger.warn({ path, ...factsOf(error) }, "a handler failed");
        options.onHandlerError?.(error, path);
      },
    });
    const outer = new OuterServer(this.#limits.maxSessions, sessions.accept);
    return { evidence, sessions, outer };
  }

  async #stop(graceMs: number): Promise<void> {
    this.health.shutDown();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    const running = await this.#started();
    if (running === undefined) return;
    await running.sessions.drain(graceMs);
    await running.outer.close();
    await running.evidence.close();
  }

  /** Undefined when the server never ran. */
  async #started(): Promise<Running | undefined> {
    return this.#starting?.catch(() => undefined);
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw new Error("the server is shut down");
  }
}

function isDescriptor(service: DescService | ServiceDefinition): service is DescService {
  return typeof service["typeName"] === "string" && service["kind"] === "service";
}
