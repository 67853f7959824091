import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { allRuntimes, CURL_JQ } from "./runtimes.ts";
import { Home } from "./shutdown.ts";

setDefaultTimeout(60_000);

const TIME = "2026-01-30T09:31:04+02:00";

const conversation = (length: number) =>
  Array.from({ length }, (_, id) => ({
    id,
    content: `Message ${id + 1}`,
    role: id % 2 === 0 ? "user" : "agent",
    time: TIME,
  }));

describe.each([...allRuntimes()])("a stop with $name", (runtime) => {
  test("saves the whole of a short conversation", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: conversation(5) });
    const { exitCode, stdout, stderr, heldPipes } = await home.stop({
      coder,
      agentApiPort: agentApi.port,
      runtime,
    });

    expect(coder.readSnapshot()).toEqual(conversation(5) as never);
    expect(stdout).toContain("Retrieved 5 messages for log snapshot\n");
    expect(stdout).toContain("Log snapshot posted successfully\n");
    expect(stdout).toContain("Shutdown complete");
    expect({ exitCode, stderr, heldPipes }).toEqual({ exitCode: 0, stderr: "", heldPipes: false });
    expect(coder.requests).toHaveLength(1);
  });

  test("keeps the last 10 messages", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: conversation(15) });
    await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(coder.readSnapshot().map(({ content }) => content)).toEqual(
      conversation(15)
        .slice(5)
        .map(({ content }) => content),
    );
  });

  test("keeps as many messages as the template asks for", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: conversation(100) });
    const args = { ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES: "64" };
    await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
    expect(coder.readSnapshot()).toHaveLength(64);
  });

  test("cuts a huge last message and keeps its end, in characters of many bytes too", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    const content = `${'\u6f22\u5b57 \u{1f600} \u001b[1m"quoted"\n'.repeat(20_000)}the newest words`;
    const messages = [...conversation(3), { id: 3, content, role: "agent", time: TIME }];
    await using agentApi = await startFakeAgentApi({ messages });
    const { stdout } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });

    const [only, ...others] = coder.readSnapshot();
    expect(others).toEqual([]);
    expect(only!.content).toMatch(/^\[\.\.\.content truncated, showing last \d\dKB\.\.\.\]\n\n/);
    expect(only!.content).toEndWith("the newest words");
    expect(coder.snapshots.get(coder.taskId)!.bytes).toBeWithin(65_536 - 64, 65_536 + 1);
    expect(stdout).toContain("truncating final message content");
  });

  test("mends what Coder or its database would refuse, and what its reader would choke on", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({
      messages: [
        { id: 0, content: "nul \u0000, lone \ud800", role: "agent", time: TIME },
        { id: "1", content: 42, role: "system", time: "yesterday" },
        "no message at all",
        { content: "a double's message", type: "output" },
        { id: 4, content: "the last", role: "user", time: TIME },
      ],
    });
    const { stdout } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(coder.readSnapshot().map(({ content, role }) => [role, content])).toEqual([
      ["agent", "nul \ufffd, lone \ufffd"],
      ["agent", "42"],
      ["agent", "a double's message"],
      ["user", "the last"],
    ]);
    expect(stdout).toContain("Left out, no JSON object: 1 of 5 messages");
  });

  test.each([
    ["an empty list", []],
    ["null, as Go writes an empty list", null],
  ])("posts nothing when the conversation is %s", async (_, messages) => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages });
    const { stdout, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(stdout).toContain("No messages for log snapshot\n");
    expect(coder.requests).toEqual([]);
    expect(exitCode).toBe(0);
  });

  test("asks nobody outside a task", async () => {
    using home = new Home();
    await using agentApi = await startFakeAgentApi({ messages: conversation(1) });
    const { stdout, exitCode } = await home.stop({ agentApiPort: agentApi.port, runtime });
    expect(stdout).toContain("No task ID, skipping log snapshot\n");
    expect(agentApi.requests).toEqual([]);
    expect(exitCode).toBe(0);
  });

  test("asks nobody when snapshots are off", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: conversation(1) });
    const args = { ARG_TASK_LOG_SNAPSHOT: "false" };
    const { stdout } = await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
    expect(stdout).toContain("Log snapshot disabled, skipping\n");
    expect([...agentApi.requests, ...coder.requests]).toEqual([]);
  });

  test("reaches an AgentAPI that listens on IPv6 alone", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: conversation(2), hostname: "::1" });
    await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(coder.readSnapshot()).toHaveLength(2);
  });

  test("reaches a Coder below a path", async () => {
    using home = new Home();
    await using coder = await startFakeCoder({ pathPrefix: "/coder/prod" });
    await using agentApi = await startFakeAgentApi({ messages: conversation(2) });
    await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(coder.readSnapshot()).toHaveLength(2);
  });

  test.each([
    [
      "a Coder without the endpoint",
      { supportsSnapshots: false },
      "Log snapshot endpoint not supported by this Coder version",
      "",
    ],
    [
      "any other 404, as of an older Coder",
      { fault: { kind: "status", status: 404, body: "404 page not found" } },
      "Log snapshot endpoint not supported by this Coder version",
      "",
    ],
    [
      "a task that is deleted or another workspace's",
      { tasks: [crypto.randomUUID()] },
      "Log snapshot capture failed, continuing shutdown",
      "HTTP 404: Coder does not know this task here; it was deleted, or it belongs to another workspace",
    ],
    [
      "a token that Coder refuses",
      { fault: { kind: "status", status: 401, body: '{"message":"Agent token is invalid."}' } },
      "Log snapshot capture failed, continuing shutdown",
      "HTTP 401: Coder refused the agent's token, which is valid only while a stop",
    ],
    [
      "a request that Coder refuses, in its own words",
      { fault: { kind: "status", status: 400, body: '{"message":"Bad.","detail":"Because."}' } },
      "Log snapshot capture failed, continuing shutdown",
      "HTTP 400: Bad. Because.",
    ],
  ] as const)("says what it means: %s", async (_, options, output, error) => {
    using home = new Home();
    await using coder = await startFakeCoder(options as never);
    await using agentApi = await startFakeAgentApi({ messages: conversation(2) });
    const taskId = "tasks" in options ? crypto.randomUUID() : coder.taskId;
    const args = { ARG_TASK_ID: taskId };
    const { stdout, stderr, exitCode } = await home.stop({
      coder,
      agentApiPort: agentApi.port,
      runtime,
      args,
    });
    expect(stdout).toContain(`${output}`);
    expect(stderr).toContain(error);
    expect(stderr === "").toBe(error === "");
    expect(exitCode).toBe(0);
    expect(coder.requests).toHaveLength(1);
  });

  test("goes on when there is no AgentAPI", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    const agentApi = await startFakeAgentApi();
    const { port } = agentApi;
    await agentApi[Symbol.asyncDispose]();
    const { stdout, stderr, exitCode } = await home.stop({ coder, agentApiPort: port, runtime });
    expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\n");
    // curl has words of its own.
    expect(stderr).toMatch(runtime === CURL_JQ ? /connect to localhost port \d+/ : /ECONNREFUSED/);
    expect(exitCode).toBe(0);
  });

  test("delivers at the second try", async () => {
    using home = new Home();
    await using coder = await startFakeCoder({ faults: [{ kind: "status", status: 503, body: "<html>" }] });
    await using agentApi = await startFakeAgentApi({ messages: conversation(2) });
    await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(coder.requests.map(({ status }) => status)).toEqual([503, 204]);
  });

  test("says what is missing without Coder's address or token", async () => {
    using home = new Home();
    await using agentApi = await startFakeAgentApi({ messages: conversation(2) });
    const args = { ARG_TASK_ID: crypto.randomUUID() };
    const env = { CODER_AGENT_URL: "" };
    const { stderr, exitCode } = await home.stop({ agentApiPort: agentApi.port, runtime, args, env });
    expect(stderr).toContain("CODER_AGENT_URL");
    expect(exitCode).toBe(0);
  });
});
