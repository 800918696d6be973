"""The page in the browser alone: a folder of static files that any web server can send.

It is the page of `mien serve` but for one module, `answers.js`: there it asks the service, here it
runs the networks. So no picture leaves the device.
"""
