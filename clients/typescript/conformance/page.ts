import type { JsonObject } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { connect } from "../src/web.js";
import { Player, Unsupported } from "./player.js";

declare global {
  // Provided by browser.ts.
  function say(answer: JsonObject): Promise<void>;
  function create(path: string): Promise<void>;
  function append(path: string, base64: string): Promise<void>;
  /** Called by browser.ts. */
  var play: (line: string) => Promise<void>;
}

const player = new Player({
  async connect({ address, ca_certificate, ...credentials }) {
    if (ca_certificate) {
      throw new Unsupported("a page cannot choose whom the browser trusts");
    }
    return connect(address, credentials);
  },
  say,
  create,
  append: (path, bytes) => append(path, base64Encode(bytes)),
});

globalThis.play = (line) => player.play(line);
