// Starts the page: connects the store, the stream and the views.

import { mountAlerts } from "./alerts.js";
import { Api } from "./api.js";
import { mountBoards } from "./boards.js";
import { mountCharts } from "./charts.js";
import { mountControls } from "./controls.js";
import { byId } from "./dom.js";
import { mountFacts } from "./facts.js";
import { mountKeys } from "./keys.js";
import { mountLines } from "./lines.js";
import { mountAuthorDialog } from "./moderation.js";
import { mountNotice } from "./notice.js";
import { mountNow } from "./now.js";
import { mountQueue } from "./queue.js";
import { mountSay } from "./say.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { mountVoices } from "./voices.js";

const logIn = () => location.replace("login");
const store = new Store();
const api = new Api(logIn);

mountNotice(store);
mountBoards(store);
mountAlerts(store);
const controls = mountControls(store, api);
const say = mountSay(store, api);
const openAuthor = mountAuthorDialog(store, api, (author) => lines.filter(author));
mountNow(store, openAuthor);
mountQueue(store, api, openAuthor);
const lines = mountLines(store, api, openAuthor, say);
mountCharts(store, api);
mountFacts(store);
mountVoices(byId("voices-body"), store, api);
mountKeys(store, controls, say);

const stream = new Stream("api/stream", {
  onEvent: (kind, data) => store.apply(kind, data),
  onState: (state, detail) => store.setLink(state, detail),
  onForbidden: logIn,
});
store.changed();
api.offerSignOut(byId("sign-out"));
stream.start();
