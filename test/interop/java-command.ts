/** How a program of grpc-java's suite is started. */
import { join } from "node:path";

/** The command for a class of the suite, so that its start costs as little as it can. */
export function javaCommand(folder: string = "", className: string): readonly string[] {
  const program = `io.grpc.testing.integration.${className}`;
  const quickStart = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
  return ["java", ...quickStart, "-cp", join(folder, "lib", "*"), program];
}
