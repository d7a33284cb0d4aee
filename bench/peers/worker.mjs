// A worker of graphile-worker or pg-boss: four empty jobs at a time, until it is killed.
// Argument: which of the two; the database is PGHOST's and the like. Prints "ping" for each job that asks for it.
import { run } from "graphile-worker";
import PgBoss from "pg-boss";

const CONCURRENCY = 4;
const name = process.argv[2];

const pong = (data) => {
  if (data?.ping) process.stdout.write("ping\n");
};

const workers = {
  // Jobs are fetched one at a time and woken for by NOTIFY, as its documentation begins.
  "graphile-worker": () =>
    run({
      concurrency: CONCURRENCY,
      maxPoolSize: CONCURRENCY + 1,
      noHandleSignals: true,
      taskList: { empty: async (payload) => pong(payload) },
    }),

  // Its work() polls at most twice a second, so these are loops over fetch and complete, which it
  // offers for that; idle, they look 100 times a second.
  "pg-boss": async () => {
    const boss = new PgBoss({ max: CONCURRENCY + 1 });
    boss.on("error", console.error);
    await boss.start();
    await boss.createQueue("empty");
    for (let n = 0; n < CONCURRENCY; n++) loop(boss);
  },
};

async function loop(boss) {
  for (;;) {
    const [job] = await boss.fetch("empty");
    if (job) {
      pong(job.data);
      await boss.complete("empty", job.id);
    } else {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

await workers[name]();
