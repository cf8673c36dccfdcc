/** A broken rule of the protocol, on its way from where it is seen to the session that ends for it. */
import type { ChannelErrorCode } from "./errors.ts";

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
