"""The studio as a folder of plain files, to be read and played with where no server runs: `make static`.

The tabs are laid out by the same functions, and their parts drawn by the same scripts, as in the app. What
the scripts would ask a server is answered beforehand, or by a script of `assets/js/static`.
"""
