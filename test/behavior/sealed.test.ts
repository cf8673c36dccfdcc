import { startSealed } from "./sealed-harness.ts";
import { behaviorSuite } from "./suite.ts";

const promises = { handlers: true };

behaviorSuite("gRPC behaviour of an attested channel through the proxy", startSealed, { promises });
