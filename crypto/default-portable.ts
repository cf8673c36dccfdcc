/** The backend everywhere else: what `#default-backend` means there. */

export { portableBackend as defaultBackend } from "./portable.ts";
