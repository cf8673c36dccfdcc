/** docs/protocol.md and the code that cites it say the same where a program can tell. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const text = readFileSync(join(root, "docs", "protocol.md"), "utf8");

const sources = ["attestation", "channel", "crypto", "transport", "services", "cli"].flatMap(
  (folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
);

function source(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

function withoutComments(code: string): string {
  return code.replaceAll(/\/\*.*?\*\//gs, "");
}

function matches(haystack: string, pattern: RegExp): string[] {
  return [...haystack.matchAll(pattern)].map((match) => match[1] ?? "");
}

function sorted(values: Iterable<string>): string[] {
  return [...new Set(values)].sort();
}

/** The text from one heading to the next of the same or a higher level. */
function section(heading: string): string {
  const start = text.indexOf(`\n${heading}`);
  assert.notEqual(start, -1, heading);
  const level = heading.split(" ", 1)[0] ?? "";
  const rest = text.slice(start + 1 + heading.length);
  const end = rest.search(new RegExp(`\n#{1,${level.length}} `));
  return end === -1 ? rest : rest.slice(0, end);
}

describe("docs/protocol.md", () => {
  for (const [name, path] of [
    ["AttestationError", "attestation/errors.ts"],
    ["ChannelError", "channel/errors.ts"],
    ["TransportError", "transport/errors.ts"],
  ] as const) {
    it(`lists exactly the codes of ${name}`, () => {
      const union = /ErrorCode =([^;]+);/.exec(source(path))?.[1] ?? "";
      const codes = matches(union, /"([a-z-]+)"/g);
      assert.notEqual(codes.length, 0);
      const listed = matches(section(`### ${name}`), /^\| `([a-z-]+)`/gm);
      assert.deepEqual(sorted(listed), sorted(codes));
    });
  }

  it("names every label string of the channel, and no other", () => {
    const inCode = sources
      .filter((path) => path.startsWith("channel"))
      .flatMap((path) => matches(withoutComments(source(path)), /["`](sealrpc1 [^"`]*)["`]/g))
      .flatMap((label) =>
        label.includes("${direction}")
          ? ["c2s", "s2c"].map((direction) => label.replace("${direction}", direction))
          : [label],
      );
    const inText = matches(text, /"(sealrpc1 [^"]+)"/g);
    assert.deepEqual(sorted(inText), sorted(inCode));
  });

  it("has every section that the code cites", () => {
    const sections = new Set(matches(text, /^##+ (?:Appendix )?([0-9A-Z]+(?:\.[0-9]+)?)/gm));
    const missing = sources.flatMap((path) =>
      matches(source(path), /docs\/protocol\.md((?:,? (?:and |to )?§[0-9A-Z.]+)+)/g)
        .flatMap((citation) => matches(citation, /§([0-9A-Z]+(?:\.[0-9]+)?)/g))
        .filter((number) => !sections.has(number))
        .map((number) => `${path}: §${number}`),
    );
    assert.deepEqual(missing, []);
  });
});
