/** A broken rule of the protocol, on its way from where it is seen to the session that ends for it. */
import { ChannelError, type ChannelErrorCode } from "./errors.ts";

/** The codes of an alert record (docs/protocol.md §7). */
export const ALERT = {
  malformed: 1,
  state: 2,
  credit: 3,
  limit: 4,
  policy: 5,
  internal: 6,
} as const;

export type AlertCode = (typeof ALERT)[keyof typeof ALERT];

/** Never leaves the channel: the session makes a `ChannelError` of it and sends the alert. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly alert: AlertCode;
  readonly code: ChannelErrorCode;

  constructor(alert: AlertCode, code: ChannelErrorCode, message: string) {
    super(message);
    this.alert = alert;
    this.code = code;
  }
}

/** For what cannot be read, or holds a value that is not allowed (docs/protocol.md §8.1). */
export function malformed(what: string): Violation {
  return new Violation(ALERT.malformed, "malformed-frame", what);
}

/** For what may be said, but not now, or not by this side (docs/protocol.md §8.1). */
export function state(what: string): Violation {
  return new Violation(ALERT.state, "malformed-frame", what);
}

/** How a session ends for an error: what its own side is told, and the alert that the peer gets. */
export interface Ending {
  readonly error: ChannelError;
  /** None for what the peer knows, or shall not learn more of. */
  readonly alert: AlertCode | undefined;
}

/** The ending for anything that was thrown. */
export function endingOf(error: unknown): Ending {
  if (error instanceof Violation) {
    return { error: new ChannelError(error.code, error.message), alert: error.alert };
  }
  if (error instanceof ChannelError) {
    return { error, alert: error.code === "malformed-record" ? ALERT.malformed : undefined };
  }
  const internal = new ChannelError("malformed-frame", "internal error", { cause: error });
  return { error: internal, alert: ALERT.internal };
}
