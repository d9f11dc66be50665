import { describe, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { readSettings } from './settings.ts';

describe('settings', () => {
  it('are these when nothing is said', () => {
    expect(readSettings({}, {}, '/srv/fleet')).toEqual({
      ok: true,
      value: {
        repo: '/srv/fleet',
        branch: null,
        schedule: null,
        host: '127.0.0.1',
        port: 8480,
        state: '/srv/fleet/.headgate',
        only: null,
        instance: null,
        webhookSecretFile: null,
        logLevel: 'info',
      },
    });
  });

  it('come from the command line first, then from the environment; an empty variable says nothing', () => {
    const env = {
      HEADGATE_REPO: 'https://git.example.org/fleet.git',
      HEADGATE_LISTEN: '[::1]:0',
      HEADGATE_STATE: 'env',
      HEADGATE_ONLY: '',
    };
    expect(readSettings({ state: 'flag', schedule: '*/5 * * * *' }, env, '/srv')).toMatchObject({
      ok: true,
      value: { repo: 'https://git.example.org/fleet.git', host: '::1', port: 0, state: '/srv/flag', schedule: '*/5 * * * *', only: null },
    });
  });

  it.each([
    [{ schedule: 'hourly' }, '--schedule (or HEADGATE_SCHEDULE): "hourly" is no cron expression'],
    [{ schedule: '61 * * * *' }, '--schedule'],
    [{ listen: 'somewhere' }, '--listen (or HEADGATE_LISTEN): "somewhere" is no address'],
    [{ listen: '127.0.0.1:65536' }, '--listen'],
    [{ only: 'both' }, '--only (or HEADGATE_ONLY): "both" is neither passes nor responder'],
    [{ instance: 'a b' }, '--instance (or HEADGATE_INSTANCE): "a b" is no name'],
    [{ logLevel: 'loud' }, '--log-level (or HEADGATE_LOG_LEVEL): "loud" is no level'],
  ])('%j is told with the flag and the variable', (flags, message) => {
    const answer = readSettings(flags, {}, '/srv');
    expect(answer).toMatchObject({ ok: false, error: [expect.stringContaining(message)] });
  });

  it('are refused with all mistakes at once', () => {
    const answer = readSettings({ only: 'x' }, { HEADGATE_LISTEN: 'y', HEADGATE_LOG_LEVEL: 'z' }, '/srv');
    expect(answer.ok ? [] : answer.error).toHaveLength(3);
  });

  it('with mistakes end the command with exit code 1', async () => {
    const cli = fakeProcess({ cwd: '/srv', env: { HEADGATE_LISTEN: 'nowhere' } });
    expect(await runCli(['daemon', '--schedule', 'hourly'], cli)).toBe(1);
    expect(cli.err())
      .toBe(`BAD_SETTINGS: --schedule (or HEADGATE_SCHEDULE): "hourly" is no cron expression: write "*/5 * * * *" for every five minutes
--listen (or HEADGATE_LISTEN): "nowhere" is no address: write 127.0.0.1:8480, [::1]:8480 or a port alone
`);
  });
});
