/** One case of the behaviour suite: a test that a hang ends long before the suite's own limit. */
import { test } from "node:test";

const CASE_TIMEOUT_MS = 120_000;

export function it(name: string, run: () => Promise<void> | void): void {
  test(name, { timeout: CASE_TIMEOUT_MS }, run);
}
