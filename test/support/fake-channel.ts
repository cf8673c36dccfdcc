/** A channel for grpc-js's stubs whose sessions a test plays. */
import type { ChannelInterface } from "@grpc/grpc-js";

import { AttestedCall } from "../../services/client/call.ts";
import type { CallHost } from "../../services/client/call-host.ts";
import { CallLedger } from "../../services/client/call-ledger.ts";
import { userAgentEntry } from "../../services/client/call-metadata.ts";
import { SessionSource } from "../../services/client/session-source.ts";
import { FakeConnector } from "./fake-session.ts";
import type { FakeCall, FakeSession } from "./fake-session.ts";

export class FakeChannel implements ChannelInterface {
  readonly connector: FakeConnector = new FakeConnector();
  readonly host: CallHost;
  /** Every call that was created, in order. */
  readonly calls: AttestedCall[] = [];

  constructor(options: Partial<CallHost> = {}) {
    const source = new SessionSource(this.connector.connect, 1);
    this.host = {
      target: "dns:///target",
      authority: "target:443",
      source,
      ledger: new CallLedger({ onHold: () => {}, onEnded: () => source.callEnded() }),
      maxSendMessageBytes: -1,
      maxReceiveMessageBytes: 1024,
      callCredentials: undefined,
      userAgent: userAgentEntry("agent/1"),
      isIdempotent: () => false,
      onMetadata: undefined,
      ...options,
    };
  }

  /** A session that is open, for the calls that follow. */
  open(change?: (session: FakeSession) => void): FakeSession {
    this.host.source.fill();
    return this.connector.last.succeed(change);
  }

  createCall(...args: Parameters<ChannelInterface["createCall"]>): AttestedCall {
    const call = new AttestedCall(this.host, ...args);
    this.calls.push(call);
    return call;
  }

  close(): void {
    this.host.source.close();
  }

  getTarget(): string {
    return this.host.target;
  }

  getConnectivityState(): ReturnType<ChannelInterface["getConnectivityState"]> {
    return this.host.source.connectivity.state;
  }

  watchConnectivityState(): void {
    throw new Error("not played");
  }

  getChannelzRef(): never {
    throw new Error("not played");
  }
}

/** The newest call of a session. */
export function lastCall(session: FakeSession): FakeCall {
  const call = session.opened.at(-1);
  if (call === undefined) throw new Error("no call was opened");
  return call;
}
