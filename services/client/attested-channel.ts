/**
 * The channel that grpc-js's stubs use in place of their own: `channelOverride` in their options.
 * Every call goes, sealed, to an enclave whose evidence the policy admits, or it fails.
 */
import type { connectivityState as State } from "@grpc/grpc-js";
import type { ChannelInterface, ChannelOptions, Deadline } from "@grpc/grpc-js";

import type { Policy, PolicyOptions } from "../../attestation/policy.ts";
import { AttestationError } from "../../attestation/errors.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { Budget } from "../../channel/budget.ts";
import { AttestedCall } from "./call.ts";
import type { ParentCall } from "./call-deadline.ts";
import type { CallHost } from "./call-host.ts";
import { CallLedger } from "./call-ledger.ts";
import { combineCredentials, userAgentEntry } from "./call-metadata.ts";
import { checkOptions, policyOf } from "./channel-options.ts";
import type { AttestedChannelOptions } from "./channel-options.ts";
import { idempotentMethods } from "./idempotency.ts";
import type { LiveSession, SessionObserver } from "./live-session.ts";
import { OuterChannel } from "./outer-channel.ts";
import { OuterSession } from "./outer-session.ts";
import type { OuterSessionOptions } from "./outer-session.ts";
import { SealedCall } from "./sealed-call.ts";
import type { CallReceiver } from "./sealed-call.ts";
import { awaitSession } from "./session-waiter.ts";
import { SessionSource } from "./session-source.ts";

/** In step with package.json, which a test compares. */
export const VERSION = "0.1.0";
/** Bytes per call that are accepted before any is read. */
const INITIAL_CREDIT = 256 * 1024;
const hosts = new WeakMap<ChannelInterface, CallHost>();

/** A call that is made without a stub. */
export interface RawCallOptions {
  /** "/package.Service/Method" */
  readonly method: string;
  /** @default that of the channel's target */
  readonly authority?: string | undefined;
  /** Of messages that are sent as compressed; the enclave must know it. @default none are */
  readonly encoding?: string | undefined;
  /** On the clock of performance.now(). @default none */
  readonly deadlineMs?: number | undefined;
}

export class AttestedChannel implements ChannelInterface {
  readonly #target: string;
  readonly #source: SessionSource;
  readonly #outer: OuterChannel;
  readonly #host: CallHost;
  #policy: Policy;
  #isClosed = false;

  /**
   * `target` is a gRPC target: `host:port`, `dns:///…`, `ipv4:…`, `unix:…`. Nothing is connected
   * before the first call.
   *
   * @throws TypeError or RangeError for options that cannot be meant; `policy` has no default.
   */
  constructor(target: string, options: AttestedChannelOptions) {
    const checked = checkOptions(options);
    const { attester, backend, suites, allowOuterMetadata, channelOptions } = checked;
    this.#target = target;
    this.#policy = checked.policy;
    const outer = new OuterChannel(target, checked.credentials, channelOptions, allowOuterMetadata);
    const ledger = new CallLedger({
      onHold: (isHeld) => {
        outer.hold(isHeld);
        source.hold(isHeld);
      },
      onEnded: () => source.callEnded(),
    });
    const sessionOptions: OuterSessionOptions = {
      backend,
      padding: checked.padding,
      maxReceiveMessageBytes: checked.maxReceiveMessageBytes,
      budget: new Budget(checked.maxBufferedBytes),
      onConnected: () => outer.hold(ledger.isHeld),
      handshake: {
        backend,
        suites,
        initialCredit: INITIAL_CREDIT,
        verify: (evidence, binding) =>
          VerifiedEvidence.verify(evidence, { ...binding, policy: this.#policy, backend }),
        ...(attester && { attest: (userData, nonce) => attester.attest({ userData, nonce }) }),
      },
    };
    const source = new SessionSource(
      (observer) => new OuterSession(outer.open(), sessionOptions, this.#admitting(observer)),
      checked.sessions,
    );
    this.#outer = outer;
    this.#source = source;
    const idempotent = idempotentMethods(checked.services);
    this.#host = {
      target,
      authority: authorityOf(target, channelOptions["grpc.default_authority"]),
      source,
      ledger,
      maxSendMessageBytes: checked.maxSendMessageBytes,
      maxReceiveMessageBytes: checked.maxReceiveMessageBytes,
      callCredentials: combineCredentials(checked.callCredentials, undefined),
      userAgent: userAgentEntry(userAgent(channelOptions)),
      isIdempotent: (method) => idempotent.has(method),
      onMetadata: allowOuterMetadata.length === 0 ? undefined : (metadata) => outer.adopt(metadata),
    };
    hosts.set(this, this.#host);
  }

  /**
   * Replaces the policy. The evidence of every session is appraised again, and a session that fails
   * is closed at once; what is known of its calls is `unknown`.
   *
   * @throws TypeError or RangeError for a policy that is none; the old one stays.
   */
  updatePolicy(policy: Policy | PolicyOptions): void {
    this.#policy = policyOf(policy);
    this.#source.reappraise((live) => this.#refusal(live) === undefined);
  }

  /** Ends calls that wait for a session; those that are under way go on. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#source.close();
    this.#outer.close();
  }

  getTarget(): string {
    return this.#target;
  }

  /** READY only while there is a session whose evidence was verified. */
  getConnectivityState(tryToConnect: boolean): State {
    if (tryToConnect && !this.#isClosed) this.#source.fill();
    return this.#source.connectivity.state;
  }

  /** @throws Error when the channel is closed. */
  watchConnectivityState(
    currentState: State,
    deadline: Date | number,
    callback: (error?: Error) => void,
  ): void {
    this.#requireOpen();
    this.#source.connectivity.watch(currentState, deadline, callback);
  }

  /** There is nothing of this channel in channelz. */
  getChannelzRef(): ReturnType<ChannelInterface["getChannelzRef"]> {
    return { kind: "channel", id: -1, name: this.#target } as unknown as ReturnType<
      ChannelInterface["getChannelzRef"]
    >;
  }

  /** @throws Error when the channel is closed, TypeError for a deadline that is no time. */
  createCall(
    method: string,
    deadline: Deadline,
    host: string | null | undefined,
    parentCall: ParentCall | null,
    propagateFlags: number | null | undefined,
  ): AttestedCall {
    this.#requireOpen();
    return new AttestedCall(this.#host, method, deadline, host, parentCall, propagateFlags);
  }

  /**
   * A call of any method as bytes, without descriptors, for whoever forwards calls: messages with
   * their compression flag, metadata as entries, statuses with their outcome. The rules on what may
   * be sent again are those of every call.
   *
   * @throws Error when the channel is closed.
   */
  createRawCall(options: RawCallOptions, receiver: CallReceiver): SealedCall {
    this.#requireOpen();
    const { method, authority, encoding, deadlineMs } = options;
    const { source, ledger, authority: ownAuthority } = this.#host;
    return new SealedCall(source, ledger, receiver, {
      method,
      authority: authority ?? ownAuthority,
      encoding: encoding ?? "",
      deadlineMs: deadlineMs ?? Infinity,
      idempotent: this.#host.isIdempotent(method),
    });
  }

  /**
   * The evidence of a session that can take a call now; makes one if there is none.
   *
   * @throws the error that a call would end with: AttestationError, ChannelError, TransportError;
   *   TransportError `timeout` when it takes longer than `timeoutMs`.
   */
  async ready(timeoutMs: number): Promise<VerifiedEvidence> {
    return awaitSession(this.#host.source, this.#host.ledger, timeoutMs);
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new Error("Channel has been shut down");
  }

  /** Invariant: no session is used that the policy of the moment does not admit. */
  #admitting(observer: SessionObserver): SessionObserver {
    return {
      onOpen: (live) => {
        const refusal = this.#refusal(live);
        if (refusal === undefined) {
          observer.onOpen(live);
          return;
        }
        // The policy has changed since the evidence was verified.
        live.session.abort();
        observer.onFailed(refusal);
      },
      onFailed: (error) => observer.onFailed(error),
      onDraining: () => observer.onDraining(),
      onClosed: () => observer.onClosed(),
    };
  }

  #refusal({ session }: LiveSession): Error | undefined {
    const { evidence } = session;
    if (evidence === undefined) {
      return new AttestationError("malformed-evidence", "a session without evidence");
    }
    try {
      evidence.reappraise(this.#policy);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }
}

/**
 * What typed clients need of a channel.
 *
 * @throws TypeError for anything but an attested channel.
 */
export function hostOf(channel: ChannelInterface): CallHost {
  const host = hosts.get(channel);
  if (host === undefined) throw new TypeError("expected an AttestedChannel");
  return host;
}

/** The authority that a target stands for, as grpc-js derives it. */
function authorityOf(target: string, override: string | undefined): string {
  if (override !== undefined) return override;
  const [, scheme, path = target] =
    /^(dns|ipv4|ipv6|unix):(?:\/\/[^/]*\/)?(.+)$/.exec(target) ?? [];
  if (scheme === "unix") return "localhost";
  return scheme === "ipv4" || scheme === "ipv6" ? (path.split(",")[0] ?? path) : path;
}

function userAgent(options: ChannelOptions): string {
  const parts = [
    options["grpc.primary_user_agent"],
    `sealrpc-node/${VERSION}`,
    options["grpc.secondary_user_agent"],
  ];
  return parts.filter((part) => part !== undefined && part !== "").join(" ");
}
