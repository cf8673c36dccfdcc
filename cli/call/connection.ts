/** The attested channel of one command, with what its user must know of the enclave. */
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Command } from "commander";
import {
  AttestedChannel,
  type CallOptions,
  type VerifiedEvidence,
} from "../../services/client/index.ts";
import { appraisalNotes, NOT_COMPARED } from "../appraisal-notes.ts";
import { outerCredentials, type TlsFlags } from "../outer-credentials.ts";
import { readPolicy, type StatedPolicy } from "../policy-file.ts";

const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface ConnectionFlags extends TlsFlags {
  readonly policy?: string;
  readonly insecureAnyMeasurement?: boolean;
  /** Milliseconds for everything together. */
  readonly timeout?: number;
  /** Bytes. */
  readonly maxMessage?: number;
}

export class Connection {
  readonly channel: AttestedChannel;
  readonly stated: StatedPolicy;
  /** On the clock of performance.now(), or Infinity. */
  readonly deadlineMs: number;
  readonly maxMessageBytes: number;
  readonly #said = new Set<string>();

  private constructor(
    target: string,
    stated: StatedPolicy,
    credentials: ChannelCredentials,
    { timeout = Infinity, maxMessage = DEFAULT_MAX_MESSAGE_BYTES }: ConnectionFlags,
  ) {
    const { policy } = stated;
    this.channel = new AttestedChannel(target, {
      policy,
      credentials,
      maxReceiveMessageBytes: maxMessage,
    });
    this.stated = stated;
    this.deadlineMs = performance.now() + timeout;
    this.maxMessageBytes = maxMessage;
  }

  /** Connects to nothing yet. Without a policy the command ends, with exit status 2. */
  static async open(target: string, flags: ConnectionFlags, command: Command): Promise<Connection> {
    const { policy, insecureAnyMeasurement = false } = flags;
    if ((policy === undefined) !== insecureAnyMeasurement) {
      const hint =
        "give --policy FILE, or --insecure-any-measurement for an enclave you do not know";
      command.error(`error: ${hint}`, { exitCode: 2 });
    }
    const stated = await readPolicy(policy, command);
    const connection = new Connection(target, stated, await outerCredentials(flags), flags);
    if (insecureAnyMeasurement) connection.#say(NOT_COMPARED);
    return connection;
  }

  /** What is to be said of a call that begins now. */
  callOptions(): CallOptions {
    const onEvidence = (evidence: VerifiedEvidence): void => this.note(evidence);
    if (this.deadlineMs === Infinity) return { onEvidence };
    return { onEvidence, timeoutMs: Math.max(1, this.deadlineMs - performance.now()) };
  }

  /** Says on standard error, once, what weakens the evidence. */
  note(evidence: VerifiedEvidence): void {
    for (const note of appraisalNotes(this.stated, evidence)) this.#say(note);
  }

  #say(note: string): void {
    if (!this.#said.has(note)) console.error(`sealrpc: ${note}`);
    this.#said.add(note);
  }
}
