import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fakeAgentApi, signal, START_SCRIPT, StartWorkspace } from "./fake-start-workspace.ts";

setDefaultTimeout(60_000);

describe("AgentAPI's environment", () => {
  test("without state persistence names the PID file, the base path, all hosts and a UTF-8 locale, and no state file", async () => {
    await using ws = await StartWorkspace.create();
    await ws.start();
    expect(ws.agentApiEnv("AGENTAPI_")).toEqual({
      AGENTAPI_ALLOWED_HOSTS: "*",
      AGENTAPI_BOUNDARY_PREFIX: "",
      AGENTAPI_CHAT_BASE_PATH: "",
      AGENTAPI_INSTALL_DIR: ws.env["AGENTAPI_INSTALL_DIR"]!,
      AGENTAPI_PID_FILE: ws.modulePath("agentapi.pid"),
    });
    expect(ws.agentApiEnv("L")).toMatchObject({ LANG: "en_US.UTF-8", LC_ALL: "en_US.UTF-8" });
    expect(ws.agentApiEnv("ARG_")).toEqual({});
  });

  test("with state persistence names the default state file, which AgentAPI writes when it ends", async () => {
    await using ws = await StartWorkspace.create({ variables: { enable_state_persistence: true } });
    const { stderr } = await ws.start();
    expect(stderr).toBe("");
    expect(ws.agentApiEnv("AGENTAPI_")).toMatchObject({
      AGENTAPI_STATE_FILE: ws.modulePath("agentapi-state.json"),
      AGENTAPI_SAVE_STATE: "true",
      AGENTAPI_LOAD_STATE: "true",
    });
    const [pid] = ws.started();
    process.kill(pid!, "SIGTERM");
    while (signal(pid!, 0)) await Bun.sleep(5);
    expect(existsSync(ws.modulePath("agentapi-state.json"))).toBe(true);
  });

  test("names state and PID files anywhere, creates their folders, and serves below a path without a subdomain", async () => {
    await using files = await StartWorkspace.create();
    const stateFile = join(files.dir, "some where/state.json");
    const pidFile = join(files.dir, "else where/agentapi.pid");
    await using ws = await StartWorkspace.create({
      variables: {
        enable_state_persistence: true,
        state_file_path: stateFile,
        pid_file_path: pidFile,
        agentapi_subdomain: false,
      },
    });
    await ws.start();
    expect(await Bun.file(pidFile).text()).toBe(`${ws.started()[0]}\n`);
    expect(existsSync(join(files.dir, "some where"))).toBe(true);
    expect(ws.agentApiEnv("AGENTAPI_")).toMatchObject({
      AGENTAPI_STATE_FILE: stateFile,
      AGENTAPI_PID_FILE: pidFile,
      AGENTAPI_CHAT_BASE_PATH: expect.stringMatching(/^\/@[^/]+\/[^/]+\.[0-9a-f-]{36}\/apps\/test\/chat$/),
    });

    for (const version of ["0.11.8", "0.9.12"]) {
      await ws.end();
      ws.addProgram("agentapi", fakeAgentApi(version));
      const { exitCode, stderr } = await ws.startAgain();
      expect(exitCode).toBe(0);
      expect(stderr).toContain(`needs AgentAPI 0.12.0 or later, and version ${version} is installed`);
      expect(ws.agentApiEnv("AGENTAPI_")).not.toContainAnyKeys([
        "AGENTAPI_STATE_FILE",
        "AGENTAPI_SAVE_STATE",
      ]);
    }
    for (const version of ["0.12.1-rc.1", "1.0.0", "devel"]) {
      await ws.end();
      ws.addProgram("agentapi", fakeAgentApi(version));
      const { exitCode, stderr } = await ws.startAgain();
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(ws.agentApiEnv("AGENTAPI_")).toContainKeys(["AGENTAPI_STATE_FILE", "AGENTAPI_SAVE_STATE"]);
    }
  });
});

test("no secret of the scripts or of the environment reaches the log, nor do scripts reach AgentAPI's environment", async () => {
  await using ws = await StartWorkspace.create({
    variables: {
      pre_install_script: "#!/bin/sh\nkey=sk-of-pre-install\n",
      install_script: "key=sk-of-install\nexport key\n",
      post_install_script: "#!/bin/sh\nkey=sk-of-post-install\n",
      start_script: START_SCRIPT.replace("\n", "\nkey=sk-of-start\n"),
    },
    env: { API_KEY: "sk-of-environment" },
  });
  const good = await ws.start();
  expect(ws.read("env").match(/sk-of-\S+/g)).toEqual(["sk-of-environment"]);
  await ws.end();
  const bad = await ws.startAgain({ env: { FAKE_FLAGS: "--no-such-option" } });
  expect([good.exitCode, bad.exitCode]).toEqual([0, 1]);
  expect(good.stdout + good.stderr + bad.stdout + bad.stderr).not.toContain("sk-of-");
});
