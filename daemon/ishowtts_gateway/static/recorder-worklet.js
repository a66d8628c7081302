// Collects the samples of a microphone, on the audio thread.
//
// Posts {samples: Float32Array, peak} for each block, and {done: true} after the last one.
// Options: maxFrames, the number of samples after which it stops. A message "stop" stops it earlier.

const BLOCK_FRAMES = 2048; // 43 ms at 48 kHz: the level meter moves 23 times a second

class Recorder extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.left = options.processorOptions.maxFrames;
    this.block = new Float32Array(BLOCK_FRAMES);
    this.used = 0;
    this.isDone = false;
    this.port.onmessage = () => this.finish();
  }

  process(inputs) {
    const channels = inputs[0];
    if (this.isDone) return false;
    if (channels.length === 0) return true; // the microphone has not started
    for (let i = 0; i < channels[0].length && this.left > 0; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.used++] = sum / channels.length;
      this.left--;
      if (this.used === BLOCK_FRAMES) this.send();
    }
    if (this.left === 0) this.finish();
    return !this.isDone;
  }

  send() {
    if (this.used === 0) return;
    const samples = this.block.slice(0, this.used);
    this.used = 0;
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.port.postMessage({ samples, peak }, [samples.buffer]);
  }

  finish() {
    if (this.isDone) return;
    this.send();
    this.isDone = true;
    this.port.postMessage({ done: true });
  }
}

registerProcessor("recorder", Recorder);
