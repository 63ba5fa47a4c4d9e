import { HARDWARE_CLOCK_DRIFT_MAX, HARDWARE_CLOCK_STEP_US } from '../../shared/limits.ts';

/**
 * Tells the system's time of what a controller's own clock has stamped. That clock stamps a frame as it is on the bus,
 * without the delay of USB, SPI and interrupts; but it begins anywhere, runs a little faster or slower than the
 * system's, and says nothing of the time.
 *
 * Each frame bears both stamps. The system's less the controller's is the offset between the clocks plus that frame's
 * delay, and a delay is never below zero. So the least of these differences is nearest to the offset, and is taken at
 * once; a greater one is followed no faster than two clocks drift apart. What is told is never later than the system's
 * stamp, and is late by the delay of the fastest frames.
 *
 * A difference that is greater by more than a delay can be means that one of the clocks was set: it is taken as it is.
 */
export class HardwareClock {
  /** Microseconds to add to the controller's clock; null before the first frame. */
  #offsetUs: number | null = null;
  #lastHardwareUs = 0;
  /** As told last. */
  #lastUs = 0;

  /** The system's time of a frame, in whole microseconds since the epoch, by its two stamps. */
  toSystemUs(hardwareUs: number, softwareUs: number): number {
    const measuredUs = softwareUs - hardwareUs;
    const offsetUs = this.#offsetUs;
    const isStep = offsetUs === null || Math.abs(measuredUs - offsetUs) > HARDWARE_CLOCK_STEP_US;
    if (isStep) {
      this.#offsetUs = measuredUs;
    } else {
      const elapsedUs = Math.max(0, hardwareUs - this.#lastHardwareUs);
      this.#offsetUs = Math.min(measuredUs, offsetUs + elapsedUs * HARDWARE_CLOCK_DRIFT_MAX);
    }
    this.#lastHardwareUs = hardwareUs;
    const systemUs = Math.min(softwareUs, Math.floor(hardwareUs + this.#offsetUs!));
    // Frames come in their order: a better offset must not put one before the last.
    this.#lastUs = isStep ? systemUs : Math.min(softwareUs, Math.max(systemUs, this.#lastUs));
    return this.#lastUs;
  }
}
