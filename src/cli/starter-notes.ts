import { hasLoggers, hasVehicles } from './starter-fleet.ts';
import { SCHEMA_FOLDER } from './starter-options.ts';
import type { StarterOptions } from './starter-options.ts';

type Files = Readonly<Record<string, string>>;

const FOLDERS = ['devices', 'artifacts', 'groups', 'sets', 'rollouts', 'windows', 'overrides', 'approvals'];

/** What stands around the declarations: the page for the people at the stations, who reviews, editors, git. */
export function noteFiles(options: StarterOptions): Files {
  return {
    'README.md': readme(options),
    '.gitattributes': '# Programs, configs and images are sent as they are, byte for byte.\nfiles/** -text\n',
    '.gitignore': `# Caches of this machine. The schemas are for the editors of everybody.\n.headgate/*\n!${SCHEMA_FOLDER}/\n`,
    '.vscode/settings.json': `${JSON.stringify(editorSettings(), null, 2)}\n`,
    '.vscode/extensions.json': `${JSON.stringify({ recommendations: ['redhat.vscode-yaml'] }, null, 2)}\n`,
    ...codeOwners(options),
  };
}

/** Every kind may stand in every file, so that one schema, which looks at `kind`, is right for all of them. */
function editorSettings(): unknown {
  return {
    'yaml.schemas': { [`./${SCHEMA_FOLDER}/fleet-repo.json`]: ['/fleet.yaml', ...FOLDERS.map((folder) => `/${folder}/**/*.yaml`)] },
    'yaml.schemaStore.enable': false,
  };
}

function codeOwners({ host, owner }: StarterOptions): Files {
  if (host === 'none') return {};
  const folder = host === 'gitlab' ? '.gitlab' : `.${host}`;
  return {
    [`${folder}/CODEOWNERS`]: `# Who must look at a change before it is merged. The last line that matches counts.
*                   ${owner}
/devices/           ${owner}
/fleet.yaml         ${owner}
/${host === 'gitlab' ? '.gitlab-ci.yml ' : `${folder}/          `}    ${owner}
`,
  };
}

function readme(options: StarterOptions): string {
  const { name, host, family } = options;
  const request = host === 'gitlab' ? 'merge request' : 'pull request';
  return `# ${name}

What runs on our devices is what stands in this repository, on the branch \`main\`. Nobody sends anything by hand: a change is
a ${request}, and [Headgate](https://github.com/OWNER/headgate) carries out what is merged.

**Who to call when something looks wrong:** (put a name and a telephone number here)

| folder | says |
| --- | --- |
| \`devices/\` | which devices there are${hasLoggers(family) ? '; the stations are a spreadsheet, `devices/loggers.csv`' : ''} |
| \`groups/\` | who runs what |
| \`rollouts/\`, \`windows/\` | in which steps, and when, a change reaches them |
| \`files/\` | programs, configurations, firmware |
| \`fleet.yaml\` | brokers, buckets, where the record is kept |

## What a merge does

1. ${plannedBy(options)} Read the first line: how many devices change, and which one is first.
2. After the merge the devices marked \`canary\` go first. They must report the new version, and stay well for the time that the
   rollout says, before anybody else gets it.
3. A station that is off, or outside its working hours, waits for nobody and holds nobody up. It changes when it can.
4. When a device fails, the rollout stops by itself and stays stopped.

${hasLoggers(family) ? 'A new program or operating system erases the tables stored on a logger: collect the data first.\n\n' : ''}\`\`\`sh
headgate status               # where everybody is
headgate explain ${hasLoggers(family) ? firstStation(options) : 'first-van'}   # the one reason why this device waits, and until when
headgate history              # what was done, and by which commit
\`\`\`

## Something went wrong: go back

Revert the commit and merge that. While the rollout is under way, or has halted, the way back needs no waiting times; of a rollout
that is through it is a change like any other. Or:

\`\`\`sh
headgate rollback             # the revert commit of the rollout under way
git push                      # or a ${request}, where main is protected; the same below
\`\`\`

## Leave a device alone

\`\`\`sh
headgate freeze ${hasLoggers(family) ? firstStation(options) : 'first-van'} --reason "dye tracing" --until 2030-03-31
git push
\`\`\`

Nothing is changed there until that day. To end it sooner, delete the file in \`overrides/\`.

## A rollout has halted, or asks

\`\`\`sh
headgate rollouts             # what is under way, and why it stands
headgate approve ${hasLoggers(family) ? 'loggers' : 'vehicles'} --unblock --reason "the canary had a flat battery, replaced"
git push
\`\`\`

## Everyday changes

${everyday(options)}

**A broken device is replaced.** Write the new serial${hasLoggers(family) ? ' and UID' : ''} where the old one stood. Nothing is sent before the new box says that it is that one.

## Begin

${beginnings(options)}
## Editors

VS Code (with the YAML extension) completes and checks these files as you type: \`.vscode/settings.json\` names the schema, which
lies in \`${SCHEMA_FOLDER}\`. In the IDEs of JetBrains: Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings;
add \`${SCHEMA_FOLDER}/fleet-repo.json\` (version 2020-12) for \`fleet.yaml\` and the folders ${FOLDERS.map((one) => `\`${one}\``).join(', ')}.
After an upgrade of Headgate \`headgate init --schemas\` writes them anew. \`headgate validate\` finds every mistake, with its line.
`;
}

function firstStation({ trial }: StarterOptions): string {
  return trial ? 'trout-beck' : 'first-station';
}

function plannedBy({ host }: StarterOptions): string {
  if (host === 'none') return '`headgate plan` says what the change would do.';
  if (host === 'gitlab') return 'The pipeline of the merge request says what the change would do.';
  return 'The pull request gets a comment that says what the change would do.';
}

function everyday({ family }: StarterOptions): string {
  const loggers = `**A new program.** Put it into \`files/programs/\` under a new name, \`station_v2.CR1X\`, and write that name into
\`groups/loggers.yaml\`. A program of its own for each station: a column in the spreadsheet, \`values.program: Program\` under
\`columns\`, and \`file: "files/programs/\${value:program}"\` in the group.

**A new station.** A row in \`devices/loggers.csv\`.

`;
  const vehicles = `**A new configuration.** Change its file in \`files/can/\`. **A new vehicle.** A line in \`devices/vehicles.yaml\`.

`;
  return `${hasLoggers(family) ? loggers : ''}${hasVehicles(family) ? vehicles : ''}`.trimEnd();
}

function beginnings(options: StarterOptions): string {
  const { family, host } = options;
  const listen = hasLoggers(family) ? ' --listen 35m' : '';
  const first = `1. Put your devices and your servers into the files, and \`headgate validate\`.\n`;
  if (host === 'none') {
    return `${first}2. Commit, then \`headgate apply --new-ledger${options.trial ? ' --listen 5s' : listen}\`: it takes what is reported as the present state and sends nothing.
3. From then on \`headgate apply --watch\`, or \`headgate apply\` from cron.
`;
  }
  if (host === 'gitlab') {
    return `${first}2. Add the variables that \`.gitlab-ci.yml\` names, and a pipeline schedule of every 15 minutes.
3. Run the job \`begin\` once, by hand: it takes what is reported as the present state and sends nothing.
`;
  }
  return `${first}2. In \`.${host}/workflows\`: name the action, pinned to a commit, \`${options.action}\`. Pin the other actions too.
3. ${credentials(options)}
4. Protect \`main\`: a review is required${host === 'github' ? ', and the check `plan`' : ''}. Leave the branches \`headgate/*\` open to the workflow, where the ledger lies, and let nobody force-push them.
5. Run the workflow \`apply\` once by hand with \`new-ledger\`: it takes what is reported as the present state and sends nothing.
`;
}

function credentials({ family, host, endpoint }: StarterOptions): string {
  const broker = hasLoggers(family) ? '`MQTT_PASSWORD`' : '';
  const and = broker === '' ? '' : `${broker}, `;
  if (endpoint !== null) return `Add the secrets ${and}\`S3_ACCESS_KEY_ID\` and \`S3_SECRET_ACCESS_KEY\`.`;
  if (host !== 'github') return `Add the secrets ${and}\`AWS_ACCESS_KEY_ID\` and \`AWS_SECRET_ACCESS_KEY\`.`;
  const secret = broker === '' ? '' : `Add the secret ${broker}. `;
  return `${secret}Add the variables \`HEADGATE_PLAN_ROLE\` (may read) and \`HEADGATE_APPLY_ROLE\` (may write too): AWS roles that trust this repository's tokens.`;
}
