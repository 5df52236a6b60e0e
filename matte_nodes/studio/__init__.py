# SPDX-License-Identifier: Apache-2.0
"""Studio: a page in the browser that selects, paints, compares, fine-tunes and exports.

The page shows pictures and sends what a person does. `app` answers it, `session` keeps it, the
service does the matting, and `request` turns a session into what `matte run` takes. Modules that
`matte run --session` needs import no web server.
"""
