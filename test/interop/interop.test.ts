/**
 * gRPC's interoperability suite, from every client to every server, each through sidecar or attested
 * channel, proxy and seal. Run by `npm run test:interop`, in a network namespace of its own, since
 * the official servers listen on all addresses.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { repositoryRoot } from "../support/repository.ts";
import { CASES, noteOf } from "./cases.ts";
import { clientsOf, type Installed } from "./clients.ts";
import { javaCommand } from "./java-command.ts";
import { type Server, startEnclaveServer, startOfficialServer } from "./servers.ts";
import { Results } from "./table.ts";

const DOCUMENT = join(repositoryRoot, "docs", "interop.md");
const found = process.env["SEALRPC_INTEROP"];
if (found === undefined) throw new Error("run this by npm run test:interop");
const installed = JSON.parse(found) as Installed;
const results = new Results();

const { go, java } = installed;

for (const { name, absent, start } of [
  { name: "EnclaveServer", absent: undefined, start: startEnclaveServer },
  {
    name: "Go server",
    absent: go.absent,
    start: () => startOfficialServer("Go server", [join(go.folder ?? "", "server")]),
  },
  {
    name: "Java server",
    absent: java.absent,
    start: () => startOfficialServer("Java server", javaCommand(java.folder, "TestServiceServer")),
  },
] as const) {
  describe(name, { skip: absent ?? false }, () => {
    let server: Server;
    before(
      async () => {
        server = await start();
      },
      { timeout: 60_000 },
    );
    after(() => server?.close());

    for (const client of clientsOf(installed)) {
      describe(client.name, { skip: client.absent ?? false }, () => {
        for (const test of CASES) {
          const note = noteOf(client.name, name, test);
          if (note?.kind === "absent") {
            results.set(client.name, name, test, "n/a");
            it(test, { skip: note.text });
            continue;
          }
          it(test, async (context) => {
            results.set(client.name, name, test, "FAILS");
            if (note !== undefined && (await client.run(test, server, "plain")) !== undefined) {
              results.set(client.name, name, test, "fails");
              context.skip(`fails with nothing between, too: ${note.text}`);
              return;
            }
            const failure = await client.run(test, server, "sealed");
            if (failure !== undefined) {
              const plain = await client.run(test, server, "plain");
              const verdict = plain === undefined ? "passes" : "fails, too,";
              assert.fail(`${failure}\n${server.logs()}\nIt ${verdict} with nothing between.`);
            }
            results.set(client.name, name, test, "pass");
          });
        }
      });
    }
  });
}

describe("docs/interop.md", () => {
  it("says what this run gave", () => {
    const document = readFileSync(DOCUMENT, "utf8");
    const written = results.writtenInto(document);
    if (process.argv.includes("--write-table")) writeFileSync(DOCUMENT, written);
    else assert.equal(document, written, "npm run test:interop -- --write-table");
  });
});
