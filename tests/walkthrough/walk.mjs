// The README's walk-through, line by line in one shell: each "$ " line is run, and has to succeed and
// print exactly what stands below it.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const lines = [...text.matchAll(/^```walkthrough\n([^]*?)^```$/gm)].flatMap((m) => m[1].trimEnd().split("\n"));

// Steps: a command, with the lines of its here-document if it has one, and what it prints.
const steps = [];
let heredoc = null;
for (const line of lines) {
  const step = steps.at(-1);
  if (heredoc) {
    step.command += `\n${line}`;
    if (line === heredoc) heredoc = null;
  } else if (line.startsWith("$ ")) {
    steps.push({ command: line.slice(2), shown: [] });
    heredoc = /<<'(\w+)'/.exec(line)?.[1] ?? null;
  } else {
    step.shown.push(line);
  }
}
if (steps.length < 20) throw new Error("the README has lost its walk-through");

const shell = spawn("bash", ["-o", "pipefail"], { stdio: ["pipe", "pipe", "inherit"] });
let printed = "";
let wake = () => {};
shell.stdout.setEncoding("utf8").on("data", (data) => {
  printed += data;
  wake();
});
shell.on("exit", () => wake());

// Run one command. Returns what it printed and its status.
async function run(command) {
  const end = /\n?__END__ (\d+)\n$/;
  printed = "";
  shell.stdin.write(`${command}\nprintf '\\n__END__ %s\\n' $?\n`);
  const deadline = setTimeout(() => {
    console.error(`$ ${command}\ntook too long`);
    process.exit(1);
  }, 300_000);
  while (!end.test(printed)) {
    if (shell.exitCode !== null) throw new Error(`$ ${command}\nended the shell`);
    await new Promise((resolve) => (wake = resolve));
  }
  clearTimeout(deadline);
  return { status: Number(end.exec(printed)[1]), output: printed.replace(end, "").trimEnd() };
}

for (const { command, shown } of steps) {
  const { status, output } = await run(command);
  if (status !== 0 || output !== shown.join("\n")) {
    console.error(`$ ${command}\nstatus ${status}, printed:\n${output}\nbut the README shows:\n${shown.join("\n")}`);
    process.exit(1);
  }
}
shell.stdin.end();
console.log(`walk-through: ${steps.length} lines, as the README says`);
