import { appendFile, readFile, writeFile } from "node:fs/promises";
import { connect } from "../src/index.js";
import { Player } from "./player.js";
import { listen, say } from "./stdio.js";

const player = new Player({
  async connect({ address, ca_certificate, ...credentials }) {
    const tls = ca_certificate ? { ca: await readFile(ca_certificate, "utf8") } : undefined;
    return connect(address, { ...credentials, tls });
  },
  say,
  create: (path) => writeFile(path, ""),
  append: appendFile,
});

await listen((line) => player.play(line));
