import * as core from '@actions/core';
import { runAction } from './action.ts';
import type { Runner } from './runner.ts';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)));

const ANNOTATE = { error: core.error, warning: core.warning, notice: core.notice };

const runner: Runner = {
  env: process.env,
  workspace: process.env['GITHUB_WORKSPACE'] ?? process.cwd(),
  input: (name) => core.getInput(name),
  output: (name, value) => core.setOutput(name, value),
  mask: (secret) => core.setSecret(secret),
  info: (text) => core.info(text),
  annotate: (level, text, at) => ANNOTATE[level](text, at),
  // Runners of other makers have no summary file: the log holds the same.
  summary: async (markdown) => {
    if (process.env['GITHUB_STEP_SUMMARY'] !== undefined) await core.summary.addRaw(markdown, true).write();
  },
  fail: (text) => core.setFailed(text),
};

await runAction(runner, interrupted.signal);
