import { portableBackend } from "../../crypto/portable.ts";
import { startSealed } from "./sealed-harness.ts";
import { behaviorSuite } from "./suite.ts";

const options = { promises: { handlers: true }, light: true };

behaviorSuite(
  "gRPC behaviour through TLS, of three sessions, with ChaCha20-Poly1305 and without padding",
  () => startSealed({ tls: true, sessions: 3, suites: [2], padding: "none" }),
  options,
);

behaviorSuite(
  "gRPC behaviour with the portable cryptography and padding to 64 KiB",
  () => startSealed({ backend: portableBackend, padding: { bucket: 65_536 } }),
  options,
);
