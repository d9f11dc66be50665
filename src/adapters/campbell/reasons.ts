import type { ReasonText } from '#ports/family.ts';

/** How an operation on a logger can fail. Tests and ledgers know the codes, people the texts. */
export const REASONS_OF_FAILURE = {
  DOWNLOAD_FAILED: { class: 'trouble', text: 'the logger could not download the file' },
  COMMAND_ERROR: { class: 'trouble', text: 'the logger answered the command with an error' },
  ARTIFACT_UNREACHABLE: { class: 'trouble', text: 'the file to send could not be fetched' },
  ABORTED: { class: 'trouble', text: 'the command was called off before it was sent' },
  NO_ANSWER: { class: 'trouble', text: 'the logger did not answer the command' },
  OS_REFUSED: { class: 'verdict', text: 'the logger checked the OS file and refused it' },
  BOOTED_BACK: { class: 'verdict', text: 'the logger restarted and runs the old OS' },
  WRONG_VERSION: { class: 'verdict', text: 'the logger runs an OS that is neither the old nor the declared one' },
  COMPILE_FAILED: { class: 'verdict', text: 'the program does not compile on the logger' },
  PROGRAM_NOT_RUNNING: { class: 'verdict', text: 'the program was loaded and another one, or none, runs' },
  DEFAULT_RUNS: { class: 'verdict', text: 'the program was loaded and the default program runs in its place' },
  OTHER_BYTES: { class: 'verdict', text: 'the file on the logger is not the one that was sent' },
  SETTING_IGNORED: { class: 'verdict', text: 'the logger took the setting and reads back another value' },
  FILE_STAYS: { class: 'verdict', text: 'the logger said that it deleted the file, and still lists it' },
  CONFIG_REFUSED: { class: 'verdict', text: 'the logger could not read the configuration file' },
  CERTIFICATE_NOT_USED: { class: 'verdict', text: 'the logger loaded the configuration and connects with the certificate it had before' },
  ENDPOINT_NOT_USED: { class: 'verdict', text: 'the logger loaded the configuration and came back to the broker it had before' },
} as const satisfies Readonly<Record<string, ReasonText>>;

export type FailureCode = keyof typeof REASONS_OF_FAILURE;

/** Signs that say how far an operation is, and decide nothing. */
export type ProgressCode = 'DOWNLOADING' | 'FLASHING' | 'RESTARTING' | 'GONE' | 'BACK' | 'REPLIED';
