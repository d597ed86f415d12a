/* Every page's script. The chart and the editor come on their own, after the first paint. */
import "htmx.org";
import * as forms from "./forms.js";
import * as frame from "./frame.js";
import * as keys from "./keys.js";
import * as painter from "./painter.js";
import * as palette from "./palette.js";
import * as socket from "./socket.js";
import * as strategy from "./strategy.js";
import * as ticket from "./ticket.js";
import * as trade from "./trade.js";

frame.start();
keys.start();
palette.start();
forms.start();
socket.start();
strategy.start();
painter.start();
ticket.start();
trade.start();
const parts = { "[data-playground]": () => import("./playground.js"), "[data-editor] textarea": () => import("./editor.js") };
for (const [query, load] of Object.entries(parts)) if (document.querySelector(query)) load().then((part) => part.start());
