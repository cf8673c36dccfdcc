/** What the transport is asked in a guest, and what guest and host have agreed on for it. */

/** In their order. */
export const CASES = [
  "carries bytes both ways at once, as who dials",
  "carries bytes both ways at once, as who listens",
  "has each direction end by itself",
  "goes on sending when the peer has ended",
  "says that nobody listens on a port",
  "gives up on a CID that never answers",
  "gives up when it is told to",
  "admits peers by their CIDs, and lets go of others",
  "has one listener a port, and the next one when that has closed",
  "leaves no descriptor behind",
] as const;

export type CaseName = (typeof CASES)[number];

/** Of the host, but for the first: the guest's, where cases listen. */
export const PORT = {
  guest: 5001,
  /** Exchanges as many bytes as a header of eight bytes says. */
  bulk: 6001,
  /** Reads such a header, connects to the guest, and exchanges there. */
  bulkBack: 6002,
  /** Answers when the guest has ended. */
  answersEnd: 6003,
  /** Ends, and takes what comes then. */
  endsFirst: 6004,
  /** Connects to the guest, and has each end of the way hear the other. */
  relay: 6005,
  nobody: 6099,
} as const;

export const CID = { itself: 1, host: 3, nobody: 77 } as const;

export const BULK_HEADER_BYTES = 8;
/** What `endsFirst` takes. */
export const LATE_BYTES: number = 1024 * 1024;

/** What is said of one case, on a line of the console. */
export interface Outcome {
  /** Major version. */
  readonly node: number;
  readonly name: CaseName;
  /** Undefined when it passed. */
  readonly error?: string;
}

const MARK = "case: ";

export function formatOutcome(outcome: Outcome): string {
  return MARK + JSON.stringify(outcome);
}

/** All that a console has so far. */
export function parseOutcomes(console: string): readonly Outcome[] {
  const lines = console.split("\n").slice(0, -1);
  return lines
    .filter((line) => line.startsWith(MARK))
    .map((line) => JSON.parse(line.slice(MARK.length)) as Outcome);
}
