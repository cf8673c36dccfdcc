/** The suites (docs/protocol.md §5). */
export type SuiteId = 1 | 2;
