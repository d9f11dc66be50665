import type { ReasonText } from '#ports/family.ts';
import type { FailureCode } from './state.ts';

/** Codes of failures: docs/protocols/drogue-dfu.md §7.4; the protocol has no failure report of its own. */
export const REASONS_OF_FAILURE: Readonly<Record<FailureCode, ReasonText>> = {
  SWAP_FAILED: { class: 'verdict', text: 'the device was told to swap and came back with the old image' },
  BOOTED_BACK: { class: 'verdict', text: 'the device ran the new image and went back to the old one' },
  WRONG_VERSION: { class: 'verdict', text: 'the device runs neither what it had nor what was offered' },
  TRIAL_FAILED: { class: 'verdict', text: 'the health of the device did not hold in time, so the new image was never marked good' },
  TRANSFER_BROKEN: { class: 'verdict', text: 'part of the image was missing at the device, again and again' },
};
