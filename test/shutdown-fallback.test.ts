import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSnapshot } from "../src/snapshot.ts";
import { AgentApiProcess } from "./agentapi-process.ts";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { DEAD_PORT } from "./free-port.ts";
import { type Random, seeded, seedFromEnv } from "./random.ts";
import { closedPath, CURL_JQ, findProgram } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME } from "./shutdown.ts";

setDefaultTimeout(60_000);

const TIME = "2026-01-30T09:31:04+02:00";
const TEXT = 'Gr\u00fc\u00dfe \u6f22\u5b57 \u{1f600} \u001b[1m "quoted" \\ %s $HOME `id`\n';
const message = (id: number, content: unknown) => ({
  id,
  content,
  role: id % 2 ? "agent" : "user",
  time: TIME,
});
const MESSAGES = [message(0, "Hello"), message(1, TEXT)];

const SHELLS: readonly (readonly string[])[] = [
  ["dash"],
  ["busybox", "sh"],
  ["bash"],
  ["zsh", "--emulate", "sh"],
  ["yash"],
].filter(([name]) => Bun.which(name!) !== null);

describe.each(SHELLS.map((words) => [words.join(" "), words] as const))("in %s", (_, [name, ...options]) => {
  const shell = [Bun.which(name!)!, ...options];

  test("a stop saves the conversation, then ends AgentAPI", async () => {
    using home = new Home();
    mkdirSync(home.path(MODULE_DIR_NAME));
    await using coder = await startFakeCoder({ faults: [{ kind: "status", status: 503, body: "<html>" }] });
    await using agentApi = await AgentApiProcess.start({
      pidFile: home.path(MODULE_DIR_NAME, "agentapi.pid"),
      messages: MESSAGES,
    });
    const run = await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ, shell });
    expect(run).toMatchObject({ exitCode: 0, stderr: "", heldPipes: false });
    expect(coder.readSnapshot()).toEqual(MESSAGES as never);
    expect(coder.requests.map(({ status }) => status)).toEqual([503, 204]);
    expect(agentApi.signals()).toEqual(["SIGTERM"]);
    expect(await agentApi.ended()).toBeNull();
    const lines = home.log().trimEnd().split("\n");
    expect(lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ /, ""))).toEqual(
      run.stdout.trimEnd().split("\n"),
    );
    expect(lines.at(-1)).toMatch(/Shutdown complete in \d\.\d s$/);
  });

  test("token and conversation are on no command line, and the conversation in no environment", async () => {
    using home = new Home();
    const secret = crypto.randomUUID();
    await using coder = await startFakeCoder({ fault: { kind: "slow-answer", ms: 700 } });
    await using agentApi = await startFakeAgentApi({ messages: [message(0, secret)] });
    const watch = watchProcesses();
    await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ, shell });
    const { commandLines, environments } = watch.end();
    expect(coder.readSnapshot()).toHaveLength(1);
    expect(commandLines).toContain("log-snapshot?format=agentapi");
    expect(commandLines).not.toContain(coder.token);
    expect(commandLines + environments).not.toContain(secret);
  });
});

/** Looks at all processes of the machine, again and again. */
function watchProcesses() {
  const seen = { commandLines: "", environments: "" };
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // Gone, or another user's.
    }
  };
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      seen.commandLines += read(`/proc/${pid}/cmdline`);
      seen.environments += read(`/proc/${pid}/environ`);
    }
  }, 15);
  return {
    end() {
      clearInterval(timer);
      return seen;
    },
  };
}

test.each([
  ["jq", ["curl"]],
  ["curl", ["jq"]],
  ["curl jq", []],
])("without %s, one line says so and AgentAPI is ended all the same", async (missing, present) => {
  using home = new Home();
  await using coder = await startFakeCoder();
  mkdirSync(home.path(MODULE_DIR_NAME));
  await using agentApi = await AgentApiProcess.start({ pidFile: home.path(MODULE_DIR_NAME, "agentapi.pid") });
  const runtime = { name: "", path: closedPath("chmod", "id", "ls", "readlink", "sed", ...present) };
  const { stdout, stderr, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
  expect(stderr).toBe(
    `Error: log snapshots need Node.js >= 18, Bun, Deno, or curl and jq; not found: ${missing}\n`,
  );
  expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\n");
  expect(agentApi.signals()).toEqual(["SIGTERM"]);
  expect(exitCode).toBe(0);
});

test("an image with a shell and nothing else gets through, too", async () => {
  using home = new Home();
  const { stdout, exitCode } = await home.stop({ runtime: { name: "", path: closedPath() } });
  expect(stdout).toContain("No task ID, skipping log snapshot\nShutdown complete in ");
  expect(exitCode).toBe(0);
});

test("an AgentAPI that does not answer leaves its state file", async () => {
  using home = new Home();
  await using coder = await startFakeCoder();
  const stateFile = home.path("state.json");
  const saved = MESSAGES.map(({ content, ...others }) => ({ ...others, message: content }));
  writeFileSync(stateFile, JSON.stringify({ version: 1, messages: saved }));
  const args = { ARG_ENABLE_STATE_PERSISTENCE: "true", ARG_STATE_FILE_PATH: stateFile };
  const port = DEAD_PORT;
  const { stdout } = await home.stop({ coder, agentApiPort: port, runtime: CURL_JQ, args });
  expect(coder.readSnapshot()).toEqual(MESSAGES as never);
  expect(stdout).toContain(`AgentAPI does not answer, using its state file ${stateFile}\n`);
});

test.each([
  ["garbage", { raw: '{"messages":[{"id":' }, "AgentAPI: answered no JSON"],
  ["a page", { raw: "<!DOCTYPE html>" }, "AgentAPI: answered no JSON"],
  ["nothing", { raw: "" }, "AgentAPI: answered no JSON"],
  ["no list", { raw: '{"messages":{}}' }, "AgentAPI: its answer has no list of messages"],
  ["half an answer", { fault: { kind: "die-mid-answer" } }, "/messages: "],
  [
    "500",
    { fault: { kind: "status", status: 500, body: "" } },
    "/messages: The requested URL returned error: 500",
  ],
] as const)("an AgentAPI that answers %s is an error, and nothing is posted", async (_, options, why) => {
  using home = new Home();
  await using coder = await startFakeCoder();
  await using agentApi = await startFakeAgentApi(options as never);
  const { stdout, stderr } = await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ });
  expect(stderr).toContain(why);
  expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\n");
  expect(coder.requests).toEqual([]);
});

describe("Coder", () => {
  test.each([
    ["a reset connection", { kind: "reset" }],
    ["a connection that dies after the request", { kind: "reset-after-body" }],
    ["429 with a time", { kind: "status", status: 429, headers: { "Retry-After": "1" } }],
    ["502", { kind: "status", status: 502, body: "<html>" }],
  ] as const)("gets the snapshot again after %s", async (_, fault) => {
    using home = new Home();
    await using coder = await startFakeCoder({ faults: [fault] });
    await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
    const { stdout } = await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ });
    expect(coder.readSnapshot()).toHaveLength(2);
    expect(stdout).toMatch(/; trying again in \d\.\d s\n/);
    const [first, second] = coder.requests;
    if (fault.kind === "status" && fault.status === 429) {
      expect(second!.atMs - first!.atMs).toBeGreaterThan(1000);
    }
  });

  test("is tried within the time allowed, and no longer", async () => {
    using home = new Home();
    await using coder = await startFakeCoder({
      fault: { kind: "status", status: 503, headers: { "Retry-After": "3600" } },
    });
    await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
    const args = { ARG_SHUTDOWN_TIMEOUT: "4" };
    const { stdout, stderr, ms } = await home.stop({
      coder,
      agentApiPort: agentApi.port,
      runtime: CURL_JQ,
      args,
    });
    expect(coder.requests.length).toBeWithin(2, 10);
    expect(stderr).toMatch(/Error: POST http\S+log-snapshot: HTTP 503/);
    expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\n");
    expect(ms).toBeLessThan(4000);
  });

  test("may send neither the token nor control characters into the log", async () => {
    using home = new Home();
    const token = crypto.randomUUID();
    const body = JSON.stringify({ message: `bad token ${token}\u001b[2J\n`, detail: "x".repeat(9000) });
    await using coder = await startFakeCoder({ token, fault: { kind: "status", status: 400, body } });
    await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
    const { stderr } = await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ });
    expect(stderr).toMatch(/^Error: [\x20-\x7e]+HTTP 400: bad token \[redacted\] \[2J +x{200}\n$/);
    expect(home.log()).not.toContain(token);
  });

  test("elsewhere does not get the token by a redirect", async () => {
    using home = new Home();
    await using other = await startFakeCoder();
    await using coder = await startFakeCoder({ fault: { kind: "redirect", location: other.url } });
    await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
    const { stderr } = await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ });
    expect(stderr).toContain("the token is not sent there, correct Coder's access URL instead");
    expect(other.requests).toEqual([]);
  });

  test("gets an id of any characters as one part of the path", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
    const args = { ARG_TASK_ID: "a/b?c d%" };
    await home.stop({ coder, agentApiPort: agentApi.port, runtime: CURL_JQ, args });
    expect(coder.requests[0]!.path).toEndWith("/tasks/a%2Fb%3Fc%20d%25/log-snapshot");
  });
});

describe("the jq program makes the same snapshot as the JavaScript program", () => {
  const source = join(import.meta.dir, "../src/fallback.sh");

  /** Runs the part of the script that makes the snapshot, on the text of AgentAPI's answer. */
  function shape(answer: string, keep: number) {
    const script = `. '${source}'; max=${keep} limit=100 zero=0 reserve=0; zero=$(now); shape content`;
    const { stdout } = spawnSync(findProgram("sh"), ["-c", script], { input: answer, maxBuffer: 2 ** 28 });
    const lines = String(stdout).trimEnd().split("\n");
    const [bytes, body] = lines.slice(-2).map((line) => JSON.parse(line) as unknown);
    const { messages } = body as { messages: Record<string, unknown>[] };
    const notes = lines.slice(0, -2).map((line) => JSON.parse(line) as string);
    return { messages, notes, bytes: bytes as number };
  }

  /** As `shape` does, by the program: no fields that Coder does not know, and no lines about what was mended. */
  function build(messages: readonly unknown[], keep: number) {
    const kept = messages.slice(-keep).map(knownFields);
    const { body, notes: allNotes } = buildSnapshot(kept, messages.length);
    const notes = allNotes.filter((note) => !note.startsWith("Mended"));
    const posted = (JSON.parse(body.toString()) as { messages: Record<string, unknown>[] }).messages;
    const retrieved = posted.length > 0 ? [`Retrieved ${kept.length} messages for log snapshot`] : [];
    return { messages: posted, notes: [...retrieved, ...notes], bytes: body.byteLength };
  }

  function knownFields(raw: unknown): unknown {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
    const { id, content, role, time } = raw as Record<string, unknown>;
    return { id, content, role, time };
  }

  const escaped = (text: string): string =>
    text.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

  const seed = seedFromEnv();
  const WORDS = [
    "a",
    " ",
    "\n",
    '"',
    "\\",
    "\\u0000",
    "\\\\ud800",
    "\u0000",
    "\u001b[1m",

    "\u6f22",
    "\u2028",
  ];
  const SURROGATES = ["\u{1f600}", "\ud800", "\udc00", "\udc00\ud800", "\ud83d\u{1f600}"];
  const CONTENTS = [42, null, undefined, true, "", { text: "Hello" }, [1, "2"]];
  const TIMES = [TIME, "2024-02-29T23:59:59.5Z", "2026-13-01T23:59:59Z", "never", undefined, 7];

  function randomHistory(random: Random): unknown[] {
    const text = (maxWords: number): string => {
      const words = random.pick([WORDS, SURROGATES, [...WORDS, ...SURROGATES]]);
      return Array.from({ length: random.int(0, maxWords) }, () => random.pick(words)).join("");
    };
    const maxWords = random.pick([5, 100, 1000, 20_000]);
    return Array.from({ length: random.int(1, 14) }, (_, index) =>
      random.int(0, 19) === 0
        ? random.pick<unknown>([null, 7, "text", [message(0, "")]])
        : {
            id: random.pick([index, index, index, "1", 1.5, 2 ** 60]),
            content: random.int(0, 9) === 0 ? random.pick(CONTENTS) : text(maxWords),
            role: random.pick(["user", "agent", "system", undefined, 7]),
            time: random.pick(TIMES),
            ...random.pick([{}, { type: text(3), Content: 5, ROLE: "root" }, { blob: text(maxWords) }]),
          },
    );
  }

  test(`for any history (SEED=${seed})`, () => {
    for (let round = 0; round < 150; round++) {
      const random = seeded(seed + round);
      const messages = randomHistory(random);
      const keep = random.pick([1, 10, 1000]);
      const json = JSON.stringify({ $schema: "x", messages }, null, random.pick([0, 2]));
      const made = shape(random.pick([json, escaped(json)]), keep);
      const wanted = build(messages, keep);
      const label = `SEED=${seed + round}`;
      if (made.messages.length > 0)
        expect(made.bytes, label).toBe(Buffer.byteLength(JSON.stringify({ messages: made.messages })));
      expect(made.bytes, label).toBeLessThanOrEqual(65_536);
      // U+0000 counts before it is replaced there, and after it here: that moves the marker's number.
      const plain = (list: Record<string, unknown>[]): unknown =>
        list.map((one) => ({
          ...one,
          content: String(one["content"]).replace(/^\[\.\.\.content.*\n\n/, "..."),
        }));
      expect(plain(made.messages), label).toEqual(plain(wanted.messages));
      expect(made.notes.toSorted(), label).toEqual(wanted.notes.toSorted());
    }
  });

  test("for every field that is wrong", () => {
    const good = { id: 4, content: "Hello", role: "user", time: TIME };
    const messages = [
      ...[undefined, "system", "User", 7].map((role) => ({ ...good, role })),
      ...["12", 1.5, 2 ** 60, undefined, -3].map((id) => ({ ...good, id })),
      ...CONTENTS.map((content) => ({ ...good, content })),
      ...[null, 7, "text", [good]],
      { ...good, Content: 5, ROLE: "root", type: "output", nested: { deep: [1, 2] } },
      { ...good, time: "yesterday" },
    ];
    const wanted = build(messages, 1000);
    expect(shape(JSON.stringify({ messages }), 1000)).toMatchObject({
      messages: wanted.messages,
      bytes: wanted.bytes,
    });
  });

  test.each([
    ["2026-01-30T09:31:04Z", true],
    ["2026-01-30T09:31:04.123456789+14:00", true],
    ["2024-02-29T23:59:59-00:00", true],
    ["2000-02-29T00:00:00Z", true],
    ["0000-01-01T00:00:00Z", true],
    ["2026-12-31T00:00:00Z", true],
    ["2026-02-29T09:31:04Z", false],
    ["1900-02-29T09:31:04Z", false],
    ["2026-02-30T09:31:04Z", false],
    ["2026-04-31T09:31:04Z", false],
    ["2026-11-31T09:31:04Z", false],
    ["2026-13-01T09:31:04Z", false],
    ["2026-01-00T09:31:04Z", false],
    ["2026-01-30T09:31:60Z", false],
    ["2026-01-30T24:00:00Z", false],
    ["2026-01-30t09:31:04z", false],
    ["2026-01-30T09:31:04", false],
    ["2026-01-30 09:31:04+02:00", false],
    ["2026-01-30T09:31:04Z\n", false],
    ["\u0662026-01-30T09:31:04Z", false],
  ])("keeps the time %p: %p", (time, isKept) => {
    const { messages } = shape(
      JSON.stringify({ messages: [message(0, ""), { ...message(1, ""), time }] }),
      9,
    );
    expect(messages[1]!["time"]).toBe(isKept ? time : TIME);
  });

  test("in well under 2 s for a message of 10 MB", () => {
    const content = `${'\u001b[31m\u6f22 \\\\ "q" '.repeat(700_000)}the end`;
    const startMs = performance.now();
    const { messages, bytes } = shape(JSON.stringify({ messages: [message(0, content)] }), 10);
    expect(performance.now() - startMs).toBeLessThan(4000);
    expect(messages[0]!["content"]).toEndWith("the end");
    expect(bytes).toBeWithin(65_536 - 64, 65_536 + 1);
  });
});
