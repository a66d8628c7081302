// Records a microphone as a WAV file: mono, 16 bits, at the rate of the microphone.

export const MAX_RECORDING_S = 12;

const REFUSALS = {
  NotAllowedError: "The browser does not allow this page to use the microphone. Allow it in the browser's settings for this page.",
  NotFoundError: "There is no microphone. Connect one, or choose a file.",
  NotReadableError: "The microphone cannot be read. Close the other program that uses it.",
};

/** Returns a sentence if this browser cannot record here, else null. */
export async function whyNoRecording() {
  if (!window.isSecureContext) {
    return "Recording needs HTTPS, or a page on this machine (127.0.0.1). Without it, choose a file.";
  }
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    return "This browser cannot record. Choose a file.";
  }
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.some((device) => device.kind === "audioinput") ? null : REFUSALS.NotFoundError;
}

/** Returns the sentence for an error of startRecording. */
export function recordingError(error) {
  return REFUSALS[error.name] ?? `The browser cannot record (${error.message || error.name}). Choose a file.`;
}

/** Starts a recording. Returns {stop, wav}: `wav` is a promise of the file. `onLevel(peak, seconds)`: peak is 0 to 1. */
export async function startRecording(onLevel) {
  // Noise suppression and gain control change a voice, and the clone would sound like that.
  const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  const context = new AudioContext();
  const release = async () => {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    const rate = context.sampleRate;
    const processorOptions = { maxFrames: MAX_RECORDING_S * rate };
    const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, processorOptions });
    const stop = () => node.port.postMessage("stop");
    const wav = new Promise((resolve) => {
      const blocks = [];
      let count = 0;
      node.port.onmessage = ({ data }) => {
        if (data.done) {
          release().then(() => resolve(wavFile(blocks, count, rate)));
          return;
        }
        blocks.push(data.samples);
        count += data.samples.length;
        onLevel(data.peak, count / rate);
      };
    });
    stream.getAudioTracks()[0].addEventListener("ended", stop);
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
    return { stop, wav };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Returns a Blob: a WAV file of Float32Arrays with `count` samples in total. */
function wavFile(blocks, count, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * count));
  const ascii = (offset, text) => [...text].forEach((letter, i) => view.setUint8(offset + i, letter.charCodeAt(0)));
  ascii(0, "RIFF");
  view.setUint32(4, 36 + 2 * count, true);
  ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  ascii(36, "data");
  view.setUint32(40, 2 * count, true);
  let offset = 44;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(offset, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true);
      offset += 2;
    }
  }
  return new Blob([view], { type: "audio/wav" });
}
