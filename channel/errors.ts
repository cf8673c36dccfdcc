/** The one error of the channel, with a closed set of codes. */

/** docs/protocol.md has the table of codes and what a caller does about each. */
export type ChannelErrorCode =
  | "unsupported-version"
  | "no-common-suite"
  | "malformed-handshake"
  | "malformed-record"
  | "malformed-frame"
  | "record-too-large"
  | "credit-overrun"
  | "peer-alert"
  | "caller-refused"
  | "authentication-failed"
  | "truncated"
  | "handshake-timeout"
  | "session-expired"
  | "key-limit"
  | "draining"
  | "refused";

/**
 * A session could not be made, or ended otherwise than in order. Toward the peer all cryptographic
 * failures look the same; the code is for the local caller.
 */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
  readonly code: ChannelErrorCode;

  constructor(code: ChannelErrorCode, message: string, options?: ErrorOptions) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
}
