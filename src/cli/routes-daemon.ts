import { buildCommand } from '@stricli/core';
import type { CliContext } from './context.ts';
import type { DaemonFlags } from './commands/daemon.ts';
import { repoFlag, text } from './flags.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';

const optional = { kind: 'parsed', parse: text, optional: true } as const;

export const daemonCommand = buildCommand<DaemonFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/daemon.ts')).daemon),
  parameters: {
    flags: {
      repo: repoFlag,
      branch: { ...optional, brief: 'Branch of a fleet repo given as URL (main)', placeholder: 'NAME' },
      schedule: { ...optional, brief: 'When passes are due, as a cron expression ("* * * * *": every minute)', placeholder: 'CRON' },
      listen: { ...optional, brief: 'Where /healthz, /readyz, /metrics and /hooks/push are (127.0.0.1:8480)', placeholder: 'HOST:PORT' },
      state: { ...optional, brief: 'Folder for the journal and for clones, on a disk that lasts (.headgate)', placeholder: 'DIR' },
      only: { ...optional, brief: 'Only passes, or only responder: answers to devices that ask', placeholder: 'PART' },
      instance: { ...optional, brief: 'Name of this one of several daemons; leave it out for the only one', placeholder: 'NAME' },
      webhookSecretFile: { ...optional, brief: 'File with the secret of POST /hooks/push', placeholder: 'FILE' },
      logLevel: { ...optional, brief: 'debug, info, warn or error (info)', placeholder: 'LEVEL' },
    },
  },
  docs: {
    brief: BRIEFS.daemon,
    fullDescription: [
      'Fetches the fleet repo and runs a pass on a schedule, after a push, and when a device calls for one; serves DFU devices what',
      'the rollout admitted; serves metrics. Logs to standard error. SIGTERM: ends what is under way, within 5 s. SIGHUP: opens',
      'everything anew.',
      'Each flag may be a variable: HEADGATE_REPO, HEADGATE_BRANCH, HEADGATE_SCHEDULE, HEADGATE_LISTEN, HEADGATE_STATE, HEADGATE_ONLY,',
      'HEADGATE_INSTANCE, HEADGATE_WEBHOOK_SECRET_FILE, HEADGATE_LOG_LEVEL. The secret itself may stand in HEADGATE_WEBHOOK_SECRET.',
      'Exit 0: drained. Exit 1: could not begin, or had to be cut off.',
      '',
      'Examples:',
      '  headgate daemon --repo /srv/fleet --state /var/lib/headgate',
      '  headgate daemon --only responder --instance b --state /var/lib/headgate-b',
    ].join('\n'),
  },
});
