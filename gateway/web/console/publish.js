// The panel that publishes: commands to copy, and a box if clients may publish.
import { commands, grantFor, mayPaste, quote } from "./commands.js";
import { duration } from "./format.js";

const $ = (id) => document.getElementById(id);

/** The panel for one channel at a time. */
export class PublishPanel {
  #config;
  #publish;
  #announce;
  #channel = "";
  #token = false;

  /** publish(channel, data) publishes from this page, and resolves to {offset, took}. */
  constructor(config, publish, announce) {
    this.#config = config;
    this.#publish = publish;
    this.#announce = announce;
    $("publish-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    $("publish-data").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#submit();
    });
  }

  /** Shows how to publish to channel; "" if there is none to show. */
  show(channel) {
    if (channel === this.#channel) return;
    this.#channel = channel;
    this.#show();
  }

  /** The page shows a token, or none. What a token grants is the gateway's to say. */
  identify(token) {
    this.#token = token;
    this.#show();
  }

  #show() {
    const channel = this.#channel;
    $("publish").hidden = channel === "";
    if (channel === "") return;
    $("publish-channel").textContent = channel;
    const list = commands(channel, this.#config);
    const grant = grantFor(this.#config.clientPublish, channel);
    const allowed = this.#token || (grant?.clients ?? false);
    $("publish-form").hidden = !allowed;
    $("publish-denied").hidden = allowed || !mayPaste(channel);
    // The option counts behind the rules for channels.
    $("publish-advice").hidden = grant !== undefined;
    $("publish-ruled").hidden = grant === undefined;
    $("publish-option").textContent = `--client-publish ${quote(channel)}`;
    $("publish-explain").textContent = `fleetcast config explain ${quote(channel)}`;
    this.#say("");
    $("command-list").replaceChildren(...list.map((entry) => this.#command(entry)));
    $("commands-off").hidden = list.length > 0;
    $("commands").firstElementChild.hidden = list.length === 0;
  }

  async #submit() {
    const channel = this.#channel;
    let data;
    try {
      data = JSON.parse($("publish-data").value);
    } catch (error) {
      this.#say(`This is not JSON: ${error.message}`, "bad");
      return;
    }
    try {
      const { offset, took } = await this.#publish(channel, data);
      this.#say(`Published at offset ${offset}, answered after ${duration(took)}.`, "good");
    } catch (error) {
      this.#say(`Not published: ${error.message}`, "bad");
    }
  }

  #say(text, kind = "") {
    $("publish-result").textContent = text;
    $("publish-result").className = kind;
  }

  #command({ tool, command }) {
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = tool;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.textContent = "Copy";
    copy.setAttribute("aria-label", `Copy the command with ${tool}`);
    const code = document.createElement("pre");
    code.className = "command";
    code.dir = "ltr";
    code.textContent = command;
    copy.addEventListener("click", async () => {
      const copied = await copyText(code);
      this.#announce(copied ? `Copied the command with ${tool}` : "The browser does not let this page copy: the command is selected");
      copy.textContent = copied ? "Copied" : "Selected";
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
    item.append(name, copy, code);
    return item;
  }
}

// Pages that came by plain http from another machine have no clipboard of their own. The text is
// then selected, and copied in the old way.
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
