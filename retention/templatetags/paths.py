"""Django's `url`, quicker for pages and for those of a record: lists name hundreds of them."""

from __future__ import annotations

from typing import Any

from django.template import Context, Library
from django.template.base import Parser, Token
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as django_url

from accounts.paths import path_to

register = Library()


class PathNode(URLNode):
    """What the `url` tag says; only how it is found differs."""

    def render(self, context: Context) -> Any:
        if self.kwargs or self.asvar or len(self.args) > 1:
            return super().render(context)
        pk = self.args[0].resolve(context) if self.args else None
        if self.args and (type(pk) is not int or pk < 0):
            return super().render(context)
        return path_to(self.view_name.resolve(context), pk)


@register.tag
def url(parser: Parser, token: Token) -> PathNode:
    """`url` of Django in every respect."""
    node = django_url(parser, token)
    return PathNode(node.view_name, node.args, node.kwargs, node.asvar)
