import type { ReasonText } from '#ports/family.ts';

export const REASONS_OF_FAILURE: Readonly<Record<string, ReasonText>> = {
  REFUSED: { class: 'verdict', text: 'the device reports that it has failed' },
  WRONG_RESULT: { class: 'verdict', text: 'the device reports neither what it had nor what it was told' },
  NOT_APPLIED: { class: 'verdict', text: 'the device was alive long enough after it was told and still reports the old value' },
  OFFER_REPLACED: { class: 'trouble', text: 'desired no longer holds what was written: somebody else writes it too' },
  URL_EXPIRED: { class: 'trouble', text: 'the URL in desired has expired and the device is there: it gets a new one' },
  VERSION_CONFLICT: { class: 'trouble', text: 'the shadow changed under every attempt to write it' },
  ARTIFACT_UNREACHABLE: { class: 'trouble', text: 'the bytes could not be fetched, or no URL of them made' },
};
