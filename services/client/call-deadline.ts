/** The deadline of a call, on the clock that sessions use. */
import { propagate } from "@grpc/grpc-js";
import type { ChannelInterface, Deadline } from "@grpc/grpc-js";

/** A server's call, in whose course this one is made. */
export type ParentCall = NonNullable<Parameters<ChannelInterface["createCall"]>[3]>;

/** Longer is no deadline: what is left must fit a protocol field, and a thousand centuries will do. */
const MAX_LEFT_MS = 2 ** 52;

/**
 * The earlier of `deadline` and, if it is passed on, the parent's: in milliseconds of
 * performance.now(), Infinity for none.
 *
 * @throws TypeError for an invalid date or NaN.
 */
export function sessionDeadline(
  deadline: Deadline,
  parent: ParentCall | null | undefined,
  propagateFlags: number,
): number {
  let epochMs = epochTime(deadline);
  if (parent !== null && parent !== undefined && (propagateFlags & propagate.DEADLINE) !== 0) {
    epochMs = Math.min(epochMs, epochTime(parent.getDeadline()));
  }
  return deadlineAfter(epochMs - Date.now());
}

/**
 * The deadline that is `leftMs` away, in milliseconds of performance.now(); Infinity for none.
 *
 * @throws TypeError for what is no number.
 */
export function deadlineAfter(leftMs: number): number {
  if (typeof leftMs !== "number" || Number.isNaN(leftMs)) {
    throw new TypeError("the deadline is not a time");
  }
  return leftMs > MAX_LEFT_MS ? Infinity : performance.now() + leftMs;
}

function epochTime(deadline: Deadline): number {
  return typeof deadline === "number" ? deadline : deadline.getTime();
}
