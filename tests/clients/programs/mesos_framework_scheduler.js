// A mesos-framework scheduler: one task that ends by itself, one that it kills: `mesos_framework_scheduler.js HOST PORT LOGS`.
// Prints `TASK STATE` for each update; exits 0 when the one has finished and the other was killed.
"use strict";

const os = require("os");
const { Scheduler, Mesos } = require("mesos-framework");

const mesos = Mesos.getMesos();
const [host, port, logs] = process.argv.slice(2);
const PATIENCE_MS = 45000;
const ENDINGS = { short: "TASK_FINISHED", long: "TASK_KILLED" };

const shell = (command) => new mesos.CommandInfo(null, null, true, command, null, null);
const scheduler = new Scheduler({
  masterUrl: host,
  port: port,
  frameworkName: "mesos-framework",
  user: os.userInfo().username,
  frameworkFailoverTimeout: 1,
  masterConnectionTimeout: 60,
  restartStates: ["TASK_FAILED", "TASK_LOST", "TASK_ERROR"],
  logging: { path: logs, fileName: "mesos-framework.log", level: "info" },
  tasks: {
    short: { priority: 1, commandInfo: shell("echo short"), resources: { cpus: 0.1, mem: 32, ports: 1, disk: 0 } },
    long: { priority: 2, commandInfo: shell("sleep 300"), resources: { cpus: 0.1, mem: 32, ports: 0, disk: 0 } },
  },
});

const ended = {};
const kind = (taskId) => Object.keys(ENDINGS).find((name) => taskId.includes(`.${name}-1.`));
let leaving = false;
const leave = (code) => {
  leaving = true;
  scheduler.once("sent_teardown", () => process.exit(code));
  scheduler.teardown();
};

scheduler.on("ready", () => scheduler.subscribe());
scheduler.on("error", (error) => {
  if (leaving) {
    return; // a teardown ends the stream, which this client reports as an error, before or after its answer
  }
  console.error("error:", error.message || error);
  process.exit(2);
});
scheduler.on("update", ({ status }) => {
  const name = kind(status.task_id.value);
  console.log(name, status.state);
  if (name === "long" && status.state === "TASK_RUNNING") {
    scheduler.kill(status.task_id.value, status.agent_id.value);
  }
  if (Object.values(ENDINGS).includes(status.state) || status.state === "TASK_FAILED") {
    ended[name] = status.state;
  }
  if (Object.keys(ended).length === Object.keys(ENDINGS).length) {
    const right = Object.entries(ENDINGS).every(([task, state]) => ended[task] === state);
    leave(right ? 0 : 1);
  }
});
setTimeout(() => {
  console.error("gave up; ended:", JSON.stringify(ended));
  process.exit(3);
}, PATIENCE_MS);
