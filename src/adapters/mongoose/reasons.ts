import type { ReasonText } from '#ports/family.ts';

export const REASONS_OF_FAILURE: Readonly<Record<string, ReasonText>> = {
  ROLLED_BACK: { class: 'verdict', text: 'the board tried the new firmware and went back to what it ran before' },
  WRONG_PLATFORM: { class: 'verdict', text: 'the board says that the bundle is for another platform' },
  BAD_BUNDLE: { class: 'verdict', text: 'the board cannot read the bundle' },
  ABORTED_BY_FIRMWARE: { class: 'verdict', text: 'the firmware that runs does not let itself be replaced' },
  WRONG_RESULT: { class: 'verdict', text: 'the board runs neither what it had nor what it was told' },
  DOWNLOAD_FAILED: { class: 'trouble', text: 'the board could not fetch the bundle, or got it damaged: it is given a new URL' },
  UPDATE_FAILED: { class: 'trouble', text: 'the board says that the update failed' },
  INTERRUPTED: { class: 'trouble', text: 'the board started again before the new firmware was written' },
  NOTHING_APPLIED: { class: 'trouble', text: 'the board says that there was nothing to do, and still runs the old firmware' },
  NOT_TAKEN: { class: 'trouble', text: 'the board is there and has not taken the URL: a lost delta, or shadow.ota_enable is off' },
  STALLED: { class: 'trouble', text: 'the board is there and its download does not go on' },
  BUSY: { class: 'trouble', text: 'the board is at another update, or at a trial' },
  NOT_COMMITTED: { class: 'trouble', text: 'the board did not commit the firmware that it tries' },
  NOT_REVERTED: { class: 'trouble', text: 'the board did not go back' },
  NO_ANSWER: { class: 'trouble', text: 'the board does not answer calls' },
  OFFER_REPLACED: { class: 'trouble', text: 'desired no longer holds the URL that was written: somebody else writes it too' },
  URL_EXPIRED: { class: 'trouble', text: 'the URL has expired and the board is there: it gets a new one' },
  VERSION_CONFLICT: { class: 'trouble', text: 'the shadow changed under every attempt to write it' },
  ARTIFACT_UNREACHABLE: { class: 'trouble', text: 'the bytes could not be fetched, or no URL of them made' },
};
