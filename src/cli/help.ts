/** The first page of the help, kept apart from the commands so that it starts about as fast as a bare Node. */

/** The version of package.json; a test compares the two, so that starting the CLI reads no file for it. */
export const VERSION = '0.1.0';

/** What each command is for, in the order in which they are met. */
export const BRIEFS = {
  init: 'Writes a new fleet repo of about fifty lines',
  validate: 'Checks a fleet repo: all mistakes at once, each with its place; needs no network',
  devices: 'Who that is: the devices that a selector matches, with the count',
  plan: 'What would be done, to whom, when, and why not the rest',
  observe: 'What every device reports, for plans that can be repeated',
  apply: 'One pass: does what may be done now, and records it',
  daemon: 'Passes on a schedule, and answers to devices that ask, until it is stopped',
  status: 'Where the fleet is, by group or device by device',
  explain: 'The one reason why a device waits, with the evidence, until when',
  rollouts: 'Rollouts under way and past, each with its commit',
  history: 'What was done, in order, each line tied to a commit',
  approve: 'Answers a halted or waiting rollout: writes the Approval and commits it',
  freeze: 'Leaves devices alone for a while: writes the Override and commits it',
  secret: 'Seals a value to the fleet’s recipients and commits the file',
  rollback: 'Takes a commit back: the revert commit, as `git revert` makes it',
  campbell: 'One Campbell logger by hand, on the bench or in the field: list, put, set, reboot, watch',
  canedge: 'CANedges by hand: what a file holds, a config rendered, encrypted, compared',
  mongoose: 'Firmware of Mongoose OS boards by hand: what a bundle holds',
  sim: 'Embedded servers and simulated devices, for use with other programs',
  demo: 'All of it in one process with nothing installed',
} as const;

export const PURPOSE = `Keeps a fleet of data loggers and IoT devices as git declares it: compares a fleet repo with what the devices report,
and closes the difference in waves. To roll back, revert the commit.`;

/** What `headgate --help` prints. */
export function helpText(): string {
  const width = Math.max(...Object.keys(BRIEFS).map((name) => name.length));
  const commands = Object.entries(BRIEFS).map(([name, brief]) => `  ${name.padEnd(width)}  ${brief}`);
  return `${PURPOSE}

USAGE
  headgate COMMAND [FLAGS]
  headgate COMMAND --help      flags, exit codes and an example of each command
  headgate --version

COMMANDS
${commands.join('\n')}

EXAMPLES
  headgate demo                             everything, simulated, in under a minute
  headgate init my-fleet                    begin
  headgate plan && headgate apply --watch   day by day

Every command that reads a fleet has --json. A fleet repo is looked for upwards from here, or given as --repo DIR.
`;
}
