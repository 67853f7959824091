import { expect, test } from "bun:test";
import { readConfig } from "./config.ts";

test("an empty environment means the defaults of the contract", () => {
  expect(readConfig({ HOME: "/home/me" })).toEqual({
    taskId: "",
    snapshotEnabled: true,
    maxMessages: 10,
    agentApiPort: 3284,
    statePersistence: false,
    stateFile: null,
    pidFile: null,
    logFile: null,
    budgetMs: 8000,
    coderUrl: "",
    coderToken: "",
    network: {
      proxy: { https: "", http: "", noProxy: "" },
      trust: { certFile: "", certDir: "", extraFile: "" },
    },
    faults: [],
  });
});

test("the module's folder gives the files their places", () => {
  const { pidFile, stateFile, logFile } = readConfig({ HOME: "/home/me", ARG_MODULE_DIR_NAME: ".m" });
  expect([pidFile, stateFile, logFile]).toEqual([
    "/home/me/.m/agentapi.pid",
    "/home/me/.m/agentapi-state.json",
    "/home/me/.m/agentapi-shutdown.log",
  ]);
});

test("paths of their own win over the module's folder", () => {
  const { pidFile, stateFile } = readConfig({
    HOME: "/home/me",
    ARG_MODULE_DIR_NAME: ".m",
    ARG_PID_FILE_PATH: "/run/a.pid",
    ARG_STATE_FILE_PATH: "/var/a.json",
  });
  expect([pidFile, stateFile]).toEqual(["/run/a.pid", "/var/a.json"]);
});

test("all faults are reported together, each with the value used instead", () => {
  const { faults, ...config } = readConfig({
    ARG_AGENTAPI_PORT: "eighty",
    ARG_TASK_LOG_SNAPSHOT: "yes",
    ARG_SHUTDOWN_TIMEOUT: "-1",
    ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES: "5000",
  });
  expect(faults).toHaveLength(4);
  expect(faults.join("\n")).toContain(
    'ARG_AGENTAPI_PORT must be a number from 1 to 65535, not "eighty"; using 3284',
  );
  expect(config).toMatchObject({
    agentApiPort: 3284,
    snapshotEnabled: true,
    budgetMs: 8000,
    maxMessages: 10,
  });
});
