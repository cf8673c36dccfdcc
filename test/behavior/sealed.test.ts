import { startSealed } from "./sealed-harness.ts";
import { behaviorSuite } from "./suite.ts";

behaviorSuite("gRPC behaviour of an attested channel through the proxy", startSealed, {
  handlers: true,
});
