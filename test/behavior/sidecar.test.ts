import { startThroughSidecar } from "./sidecar-harness.ts";
import { behaviorSuite } from "./suite.ts";

behaviorSuite("gRPC behaviour through sidecar and proxy", startThroughSidecar, {
  promises: { handlers: true, waitsFor: "the client's hop" },
});
