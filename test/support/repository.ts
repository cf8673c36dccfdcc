/** Where the repository is, seen from a built test. */
import { fileURLToPath } from "node:url";

/** Tests run from dist/test/, one level below their sources' place. */
export const repositoryRoot: string = fileURLToPath(new URL("../../../", import.meta.url));
