// OpenSeadragon, loaded when the first viewer wants it.

let library;

export function openSeadragon() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/vendor/openseadragon/openseadragon.min.js";
    script.onload = () => resolve(window.OpenSeadragon);
    script.onerror = () => reject(new Error("the viewer's library is not installed"));
    // it puts a <style> into the page unless one of this name is there, which our content policy blocks: this is none
    const none = document.createElementNS("urn:opica:none", "style");
    none.setAttribute("data-openseadragon-mobile-css", "");
    document.head.append(none, script);
  });
  return library;
}
