/** The log of a long-running command: JSON lines on stderr. */
import { Option } from "commander";
import { type Logger, pino } from "pino";

/** The flag that chooses how much is said. */
export function logLevelOption(): Option {
  return new Option("--log-level <level>", "how much the log says")
    .choices(["debug", "info", "warn", "silent"])
    .default("info");
}

/** A logger that says what `level` asks for. */
export function createLogger(level: string): Logger {
  return pino(
    {
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
