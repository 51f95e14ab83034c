// The README tried as a newcomer would: every example's command is run against a server, and what it
// prints must be what the README shows, but for ids, times and figures. Run by tests/with-server.
//
//   node tests/readme.mjs           compare; exit 1 where they differ
//   node tests/readme.mjs --write   put what the commands print now into the README
//
// An example is a line that begins with "$ " in a fenced block, with what it prints below it. Ids that
// an example printed are those that later commands mean.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const readme = new URL("../README.md", import.meta.url);
const write = process.argv.includes("--write");
const text = readFileSync(readme, "utf8");
const idPattern = /\b(?:container|exec|snapshot|token)_[0-9a-f]+\b/g;
const renamed = new Map(); // ids in the README to those of this run

// Where the README's server lives, and where the one at hand does.
const here = (command) =>
  command
    .replaceAll("/var/lib/sandboxd", process.env.SANDBOX_STATE)
    .replaceAll("https://localhost:8443/api/sandbox", process.env.SANDBOX_URL)
    .replaceAll("build/release/sandboxd", process.env.SANDBOXD)
    .replace(idPattern, (id) => renamed.get(id) ?? id);

const there = (output) =>
  output
    .replaceAll(process.env.SANDBOX_URL, "https://localhost:8443/api/sandbox")
    .replaceAll(process.env.SANDBOX_STATE, "/var/lib/sandboxd");

// The definitions that every example uses: the block that begins with "api()".
const prelude = /^```\n(api\(\)[^]*?)^```$/m.exec(text)?.[1];
if (!prelude) throw new Error("the README no longer defines api()");

function run(command) {
  try {
    return execFileSync("bash", ["-c", `${here(prelude)}\n${here(command)}`], {
      encoding: "utf8",
      timeout: 120_000,
      stdio: ["ignore", "pipe", "inherit"],
    });
  } catch (error) {
    throw new Error(`$ ${command}\n${error.message}`);
  }
}

// What must be equal: ids, times, hashes and figures are only of the same kind.
const shape = (output) =>
  output
    .replace(idPattern, (id) => `${id.split("_")[0]}_ID`)
    .replace(/(?<="next_cursor":")[\w-]+/g, "CURSOR")
    .replace(/\bsbx_[0-9a-f]{64}\b/g, "TOKEN")
    .replace(/\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?/g, "TIME")
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "UUID")
    .replace(/\b([0-9a-f]{12}|[0-9a-f]{16,})\b/g, "HEX")
    .replace(/-?\b\d+(\.\d+)?\b/g, "N")
    .trimEnd();

let failures = 0;

function example(command, shown) {
  const printed = there(run(command)).trimEnd();
  const before = shown.match(idPattern) ?? [];
  const now = printed.match(idPattern) ?? [];
  before.forEach((id, i) => now[i] && renamed.set(id, now[i]));
  if (!write && shape(printed) !== shape(shown)) {
    failures++;
    console.error(`$ ${command}\n--- the README shows\n${shown}\n--- it prints\n${printed}\n`);
  }
  const shownCommand = command.replace(idPattern, (id) => renamed.get(id) ?? id);
  return `$ ${shownCommand}\n${printed ? `${printed}\n` : ""}`;
}

// One block: examples one after another. A command goes on over lines that end with a backslash.
function block(body) {
  const parts = body.split(/^\$ /m).slice(1);
  return parts
    .map((part) => {
      const [, command, shown] = /^((?:.*\\\n)*.*)\n?([^]*)$/.exec(part);
      return example(command, shown.trimEnd());
    })
    .join("");
}

let count = 0;
const result = text.replace(/^```\n(\$ [^]*?)^```$/gm, (_, body) => {
  count++;
  return `\`\`\`\n${block(body)}\`\`\``;
});
if (count === 0) throw new Error("the README has no examples");
if (write) writeFileSync(readme, result);
console.log(`README: ${count} blocks of examples, ${failures} examples differ`);
process.exit(failures ? 1 : 0);
