/**
 * The bridge: runs in the enclave beside an application in any language, attests to it, and forwards
 * opened calls to it as plain gRPC on a local socket. Every method is the application's, health and
 * reflection too.
 */
import { formatAddress, parseAddress } from "../../transport/address.ts";
import { TransportError } from "../../transport/errors.ts";
import { isLocal } from "../../transport/local-address.ts";
import { EnclaveServer, type EnclaveServerOptions, type Logger } from "../enclave/index.ts";
import { ByteBudget } from "../http2/byte-budget.ts";
import { BridgedCall, type CallContext } from "./bridged-call.ts";
import { Upstream } from "./upstream.ts";

/** What a bridge is made of. */
export interface BridgeOptions extends Pick<
  EnclaveServerOptions,
  | "attester"
  | "callers"
  | "limits"
  | "padding"
  | "suites"
  | "appInfo"
  | "vsockPeers"
  | "vsockBufferBytes"
> {
  /** Where the host connects. */
  readonly listen: string;
  /** Where the application listens: a Unix socket, or a loopback address. */
  readonly upstream: string;
  /** The longest message that passes, either way; the application has a limit of its own. @default 16 MiB */
  readonly maxMessageBytes?: number | undefined;
  readonly logger?: Logger | undefined;
  /** Gives up waiting for the application. */
  readonly signal?: AbortSignal | undefined;
}

/** A running bridge. */
export interface Bridge {
  /** The bound address. */
  readonly address: string;
  /** Replaces the policy for callers, as `updateCallers` of EnclaveServer does. @throws as that. */
  readonly updateCallers: EnclaveServer["updateCallers"];
  /**
   * Drains and stops: sessions end when their calls are over, and calls that are open after `graceMs`
   * (30,000 by default) end as UNAVAILABLE.
   */
  close(graceMs?: number): Promise<void>;
}

const DEFAULT_MESSAGE_BYTES: number = 16 * 1024 * 1024;
/** Of messages that the application does not read, or has sent in part; what is sealed has a budget of its own. */
const MAX_BUFFERED_BYTES: number = 64 * 1024 * 1024;
const DEFAULT_GRACE_MS = 30_000;
const SILENT: Logger = { debug() {}, info() {}, warn() {} };

/**
 * Waits for the application, then takes calls.
 *
 * @throws TypeError or RangeError when an option is none, or the application's address leaves the
 *   enclave; what `EnclaveServer.listen` throws; TransportError `closed` when the signal aborted.
 */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { logger = SILENT, maxMessageBytes = DEFAULT_MESSAGE_BYTES, signal } = options;
  const address = parseAddress(options.upstream);
  if (!isLocal(address)) {
    throw new TypeError(
      `${options.upstream}: an application outside the enclave cannot be bridged`,
    );
  }
  let reached: () => void = () => {};
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const where = { upstream: formatAddress(address) };
  const upstream = new Upstream(address, {
    onReached: () => {
      logger.info(where, "the application is there");
      reached();
    },
    onAway: (reason) => logger.warn({ ...where, reason }, "the application is away"),
  });
  const context: CallContext = {
    upstream,
    budget: new ByteBudget(MAX_BUFFERED_BYTES),
    maxMessageBytes,
  };
  const server = new EnclaveServer({
    ...serverOptions(options),
    maxReceiveMessageBytes: maxMessageBytes,
    logger,
    rawHandler: (call, header, caller) => {
      const bridged = new BridgedCall(call, context);
      bridged.open(header, caller);
      return bridged;
    },
  });
  upstream.start();
  try {
    await Promise.race([isReached, aborted(signal)]);
    const bound = await server.listen(options.listen);
    return {
      address: bound,
      updateCallers: (policy) => server.updateCallers(policy),
      async close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
        await server.shutdown(graceMs);
        upstream.close();
      },
    };
  } catch (error) {
    upstream.close();
    await server.close();
    throw error;
  }
}

function serverOptions(options: BridgeOptions): EnclaveServerOptions {
  const { attester, callers, limits, padding, suites, appInfo } = options;
  return {
    vsockPeers: options.vsockPeers,
    vsockBufferBytes: options.vsockBufferBytes,
    ...(attester === undefined ? {} : { attester }),
    ...(callers === undefined ? {} : { callers }),
    ...(limits === undefined ? {} : { limits }),
    ...(padding === undefined ? {} : { padding }),
    ...(suites === undefined ? {} : { suites }),
    ...(appInfo === undefined ? {} : { appInfo }),
  };
}

async function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => {
      reject(new TransportError("closed", "the wait for the application was given up"));
    };
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
  });
}
